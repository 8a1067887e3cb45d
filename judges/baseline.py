"""A hosted model as a row of a sweep: `MODEL=openai:gpt-4o`. Prompts in, completions out, like any engine's.

The messages are those every other row gets. Replies are recorded in the call cache, so a killed run goes on where it
stopped, and a second scorer costs nothing. A call that failed is a completion with `finish="error"` and its reason:
unscored later, never wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.core import Completion, Finish, Message, Split, digest
from judges.caller import Caller, Outcome
from judges.calls import Call, Estimate, Failure, Reply, Spend
from judges.config import JudgeConfig, ProgressFunction
from judges.prices import reply_limit


@dataclass(frozen=True, kw_only=True)
class BaselinePrompt:
    """One item's prompt, exactly as the other rows of the sweep get it."""

    example_id: str
    split: Split
    messages: tuple[Message, ...]


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One worked example for a few-shot prompt: the messages of a training item, and its gold."""

    messages: tuple[Message, ...]
    answer: str


@dataclass(frozen=True, kw_only=True)
class BaselineResult:
    """Completions in the order of the prompts, the snapshots that wrote them, and the bill."""

    completions: tuple[Completion, ...]
    snapshots: tuple[str, ...]
    spend: Spend


def baseline(
    prompts: Sequence[BaselinePrompt],
    config: JudgeConfig,
    *,
    max_new_tokens: int,
    shots: Sequence[Shot] = (),
    progress: ProgressFunction | None = None,
) -> BaselineResult:
    """The completions of `config.model` at temperature 0 (or the config's), zero-shot or with `shots`."""
    caller = Caller(config)
    outcomes = caller.answers(_calls(prompts, config, max_new_tokens, shots), progress)
    completions = tuple(_completion(prompt, outcome) for prompt, outcome in zip(prompts, outcomes, strict=True))
    snapshots = tuple(sorted({outcome.snapshot for outcome in outcomes if isinstance(outcome, Reply)}))
    return BaselineResult(completions=completions, snapshots=snapshots, spend=caller.spend())


def baseline_estimate(
    prompts: Sequence[BaselinePrompt], config: JudgeConfig, *, max_new_tokens: int, shots: Sequence[Shot] = ()
) -> Estimate:
    """What `baseline` would ask and cost, without sending anything; a likely answer is half its limit (assumed)."""
    return Caller(config).estimate(_calls(prompts, config, max_new_tokens, shots), max_new_tokens // 2)


def with_shots(messages: Sequence[Message], shots: Sequence[Shot]) -> tuple[Message, ...]:
    """`messages` with worked examples before the last turn. System turns of the shots are left out: one is enough."""
    worked: list[Message] = []
    for shot in shots:
        worked += [message for message in shot.messages if message.role != "system"]
        worked.append(Message(role="assistant", content=shot.answer))
    head = [message for message in messages if message.role == "system"]
    return (*head, *worked, *(message for message in messages if message.role != "system"))


def _calls(
    prompts: Sequence[BaselinePrompt], config: JudgeConfig, max_new_tokens: int, shots: Sequence[Shot]
) -> list[Call]:
    return [
        Call(
            model=config.model,
            messages=with_shots(prompt.messages, shots),
            max_tokens=reply_limit(config.model, max_new_tokens),
            temperature=config.sampling_temperature,
            seed=0,
            purpose=digest("baseline"),
        )
        for prompt in prompts
    ]


def _completion(prompt: BaselinePrompt, outcome: Outcome) -> Completion:
    if isinstance(outcome, Failure):
        return _failed(prompt, f"{outcome.reason}: {outcome.detail}", 0)
    if outcome.finish == "content_filter":
        return _failed(prompt, "content_filter: the provider withheld the reply", outcome.prompt_tokens)
    finish: Finish = "length" if outcome.finish == "length" else "stop"
    return Completion(
        example_id=prompt.example_id,
        split=prompt.split,
        text=outcome.text or outcome.refusal,  # a refusal is an answer the scorers can judge
        finish=finish,
        num_prompt_tokens=outcome.prompt_tokens,
        num_tokens=outcome.completion_tokens,
    )


def _failed(prompt: BaselinePrompt, error: str, num_prompt_tokens: int) -> Completion:
    return Completion(
        example_id=prompt.example_id,
        split=prompt.split,
        text="",
        finish="error",
        num_prompt_tokens=num_prompt_tokens,
        num_tokens=0,
        error=error,
    )
