"""Messages -> token ids and loss mask: the ONE rendering, for training and for sampling.

In: a tokenizer folder and the messages of a prompt function. Out: `prompt_ids` (what an engine is handed, and what training
sees before the answer) and `answer_ids` (the answer's tokens and the end token; the loss covers exactly these). Prompt and
answer are tokenised apart and joined as ids, so the prompt of training is the prompt of inference by construction: no
merge across the seam (TRL's "tokenized prompt is not a prefix" warning) can happen.

With a chat template the template decides; without one (a base model such as Llama-2-7b-hf) turns are joined by blank
lines after one BOS. Text in a message that spells a special token is broken apart, so that data cannot end a turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core import Message, UserError
from harness.models import VOCABULARY_FILES, files_hash, load_tokenizer, tokenizer_hash

PLAIN_FORMAT = "turns joined by a blank line, answer after a blank line, version 1"
_SENTINEL = "tunebench-answer"


@dataclass(frozen=True, kw_only=True)
class TokenizedExample:
    """Token ids of one item. The loss mask is 0 on `prompt_ids` and 1 on `answer_ids`, whose last one ends the turn."""

    id: str
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]


class ChatFormat:
    """How one model's prompts become token ids. Equal `hash` values mean equal ids for equal messages."""

    def __init__(self, folder: Path, tokenizer: Any | None = None) -> None:
        self.folder = folder
        self._tokenizer = load_tokenizer(folder) if tokenizer is None else tokenizer
        self._template: str | None = self._tokenizer.chat_template
        self._special = sorted(set(self._tokenizer.all_special_tokens), key=len, reverse=True)
        self.end_id = self._end_token()
        self.bos_id = self._expected_bos()
        self.template_hash = hashlib.sha256((self._template or PLAIN_FORMAT).encode()).hexdigest()[:16]
        self.tokenizer_hash = files_hash(folder, VOCABULARY_FILES)
        key = (self._template or PLAIN_FORMAT) + tokenizer_hash(folder)
        self.hash = hashlib.sha256(key.encode()).hexdigest()[:16]

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """The exact text of a prompt, special tokens spelled out."""
        turns = [{"role": message.role, "content": self._defused(message.content)} for message in messages]
        if self._template is None:
            bos = self._tokenizer.bos_token or ""
            return bos + "\n\n".join(turn["content"] for turn in turns) + "\n\n"
        text: str = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return text

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Token ids of a prompt, up to where the answer starts. The template brings the only BOS."""
        return tuple(self._tokenizer.encode(self.prompt_text(messages), add_special_tokens=False))

    def answer_ids(self, answer: str) -> tuple[int, ...]:
        """Token ids of an answer and the end token."""
        return (*self._tokenizer.encode(self._defused(answer), add_special_tokens=False), self.end_id)

    def example(self, id: str, messages: Sequence[Message], answer: str) -> TokenizedExample:
        """Prompt and answer of one training item."""
        return TokenizedExample(id=id, prompt_ids=self.prompt_ids(messages), answer_ids=self.answer_ids(answer))

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of a completion, the end token dropped, other special tokens kept visible."""
        ids = list(token_ids)
        if ids and ids[-1] == self.end_id:
            ids.pop()
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def visible_text(self, content: str) -> str:
        """`content` as it stands in a prompt or an answer: spelled special tokens broken apart."""
        return self._defused(content)

    def _defused(self, content: str) -> str:
        for token in self._special:
            if token in content and len(token) > 1:
                content = content.replace(token, token[0] + " " + token[1:])
        return content

    def _expected_bos(self) -> int | None:
        """The token that this model's texts begin with, when its tokenizer would write one by itself."""
        bos: int | None = self._tokenizer.bos_token_id
        return bos if bos is not None and self._tokenizer.encode("x")[:1] == [bos] else None

    def _end_token(self) -> int:
        """The token that the template writes after an assistant's answer; without a template, EOS."""
        eos: int | None = self._tokenizer.eos_token_id
        if self._template is not None:
            turns = [{"role": "user", "content": "question"}, {"role": "assistant", "content": _SENTINEL}]
            tail = self._tokenizer.apply_chat_template(turns, tokenize=False).rpartition(_SENTINEL)[2]
            ids = self._tokenizer.encode(tail, add_special_tokens=False)
            special = [token for token in ids if token in self._tokenizer.all_special_ids]
            if special:
                return int(special[0])
        if eos is None:
            raise UserError(f"the tokenizer in {self.folder} has no end-of-sequence token: answers could never stop")
        return eos
