"""Texts from hostile sources -> messages whose frame they cannot leave.

- Single pass: the template is split once; what is put in is never looked at again, so `{{reference}}` in a submission
  stays those letters.
- Delimiters that do not occur: every block stands between marks that carry a code. The code is a hash of all texts,
  tried again until it occurs in none of them, so it is the same on every run (the cache holds) and no text can end
  its own block.
- Nothing invisible: control, zero-width and direction characters, variation selectors (which can carry a hidden text),
  unassigned characters and lone surrogates are written as escapes.
- No chat-template tokens: servers of open models read `<|im_end|>` inside a message as the end of the turn. A space is
  put into anything of that shape, in full-width letters too.
- Limits: a text over its limit is not cut (that could change the verdict), it is refused with the field's name. What
  counts is the text as it is shown, escapes included.

These stop a text from forging the frame. They do not stop a judge from being persuaded by what stands inside it; that
is measured by the controls of judges/audit.py.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping

from judges.config import MAX_FIELD_CHARS

_HOLE = re.compile(r"\{\{(\w+)\}\}")
# <|im_end|> <|eot_id|>, DeepSeek's full-width bar, Gemma 4's <turn|>; BOS, EOS and the words of Llama 2, Gemma, GLM,
# InternLM, T5, Baichuan; thinking and tool calls of Qwen and others; then Llama 2 and Mistral, and MiniMax
_TEMPLATE_TOKEN = re.compile(
    r"[<\uff1c](?=[|\uff5c]|[^\s<>|]{0,40}[|\uff5c][>\uff1e]|[<\uff1c]/?SYS[>\uff1e]"
    r"|/?(?:s|bos|eos|pad|unk|mask|sop|eop|eoh|eoa|image|endoftext|(?:start|end)_of_(?:turn|image))[>\uff1e]"
    r"|(?:extra_id_|reserved_|unused)\d+[>\uff1e]|/?(?:think|tool_call|tool_response|tools)[>\uff1e])"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|gMASK|THINK)\])|\](?=~!?b[\[\]])|\[(?=e~\[)",
    re.IGNORECASE,
)
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Drawn as nothing, though Unicode calls them letters, marks or symbols: a joiner, fillers of Hangul and Khmer, variation
# selectors (Default_Ignorable_Code_Point in DerivedCoreProperties.txt), and the blank of Braille.
_DRAWN_AS_NOTHING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


class TooLongError(ValueError):
    """A text over its limit; `field` names it."""

    def __init__(self, field: str, num_chars: int, limit: int) -> None:
        super().__init__(f"{field} has {num_chars} characters, the judge is shown at most {limit}")
        self.field = field


def framed(template: str, texts: Mapping[str, str], *, limit_chars: int = MAX_FIELD_CHARS) -> str:
    """`template` with each `{{name}}` replaced by `texts[name]` between marks, in one pass.

    Raises TooLongError; KeyError when the template names a text that is not given.
    """
    _refuse_long(texts, limit_chars)
    shown = {name: visible(text) for name, text in texts.items()}
    _refuse_long(shown, limit_chars)
    code = unused_code(shown)

    def block(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"[begin {name} {code}]\n{shown[name]}\n[end {name} {code}]"

    return _HOLE.sub(block, template)


def _refuse_long(texts: Mapping[str, str], limit_chars: int) -> None:
    for name, text in texts.items():
        if len(text) > limit_chars:
            raise TooLongError(name, len(text), limit_chars)


def unused_code(texts: Mapping[str, str]) -> str:
    """8 hex digits that occur in none of `texts`, in any case or width, and depend on them alone."""
    folded = [unicodedata.normalize("NFKC", text).casefold() for text in texts.values()]
    seed = hashlib.sha256("\x00".join(f"{name}={texts[name]}" for name in sorted(texts)).encode()).hexdigest()
    while True:
        code = seed[:8]
        if not any(code in text for text in folded):
            return code
        seed = hashlib.sha256(seed.encode()).hexdigest()


def visible(text: str) -> str:
    """`text` with nothing in it that a reader cannot see or that a server could read as a turn mark."""
    shown = "".join(f"\\u{ord(char):04x}" if _is_unseen(char) else char for char in text.replace("\r\n", "\n"))
    return _TEMPLATE_TOKEN.sub(lambda match: match.group(0) + " ", shown)


def _is_unseen(char: str) -> bool:
    is_unseen = unicodedata.category(char) in _INVISIBLE or _DRAWN_AS_NOTHING.match(char) is not None
    return is_unseen and char not in "\n\t"
