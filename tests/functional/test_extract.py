"""The written extraction policy, rule by rule."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.functional.extract import extract

ANSWER = "inform(name[Dirt 5], genres[driving/racing, sport], esrb[E 10+ (for Everyone 10 and Older)])"
REORDERED = "inform(genres[sport, driving/racing], esrb[E 10+ (for Everyone 10 and Older)], name[dirt 5])"
OTHER = "request(specifier[fast])"

READ = {
    "alone": ANSWER,
    "in a fence": f"```\n{ANSWER}\n```",
    "in a fence with a language": f"```python\n{ANSWER}\n```",
    "assigned": f"result = {ANSWER};",
    "with prose around": f"Sure! Here it is:\n{ANSWER}.\nHope it helps :)",
    "in the middle of a sentence": f"I think {ANSWER} is what you want (see above).",
    "after a label": f"Representation:{ANSWER}",
    "in quotes": f'The answer is "{ANSWER}".',
    "in backticks": f"`{ANSWER}`",
    "in bold": f"**{ANSWER}**",
    "in parentheses": f"({ANSWER})",
    "in square brackets": f"[{ANSWER}]",
    "in a longer parenthesis": f"(that would be {ANSWER})",
    "in JSON": f'{{"mr": "{ANSWER}"}}',
    "as a list item": f"1. {ANSWER}",
    "before an end-of-turn mark": f"{ANSWER}<|im_end|>",
    "before another turn": f"{ANSWER}<|im_end|>\n<|im_start|>user\n{OTHER}",
    "before end-of-text marks": f"{ANSWER}</s></s>",
    "after a leading mark": f"<|im_end|>\n{ANSWER}",
    "after a think block": f"<think>perhaps {OTHER}?</think>\n{ANSWER}",
    "after the end of a think block": f"perhaps {OTHER}?</think>\n{ANSWER}",
    "twice the same": f"{ANSWER}\n{ANSWER}",
    "twice, in another order": f"{REORDERED}\n{ANSWER}",
    "complete and then cut": f"{ANSWER}\n{ANSWER[:40]}",
    "cut and then complete": f"{ANSWER[:40]}\n{ANSWER}",
    "beside other calls in prose": f"f(x) and the function(s) give {ANSWER}",
    "beside a mention of a function": f"I use inform() here: {ANSWER}",
    "spread over lines": ANSWER.replace(", ", ",\n  ").replace("(name", "(\n  name"),
    "with a space before the parenthesis": ANSWER.replace("inform(", "inform ("),
}


@pytest.mark.parametrize("reply", READ.values(), ids=list(READ))
def test_the_one_representation_is_read(reply: str) -> None:
    found = extract(reply)
    assert found.failure is None
    assert found.representation is not None
    assert found.representation.function == "inform"
    assert [slot.name for slot in found.representation.slots] == ["name", "genres", "esrb"]
    assert found.span in reply


UNREAD = {
    "cut at the end": (ANSWER[:-1], "malformed"),
    "cut in a value": (ANSWER[:30], "malformed"),
    "a closing parenthesis too many": (ANSWER + ")", "malformed"),
    "a closing parenthesis too many, after a space": (ANSWER + " )", "malformed"),
    "a closing bracket too many": (ANSWER + "]", "malformed"),
    "an opening parenthesis too many before it": ("(" + ANSWER, "malformed"),
    "slots that go on after the end": (ANSWER + ", rating[good])", "malformed"),
    "closed too early": ("inform(name[Dirt 5]), genres[sport])", "malformed"),
    "an answer inside a broken call": (f"print({ANSWER})", "malformed"),
    "a doubled head": ("inform(" + ANSWER, "malformed"),
    "slots without a function": ("name[Dirt 5], genres[sport]", "malformed"),
    "two different ones": (f"{ANSWER}\n{OTHER}", "ambiguous"),
    "two that differ in one value": (f"{ANSWER} or {ANSWER.replace('Dirt 5', 'Dirt 4')}", "ambiguous"),
    "only a think block": (f"<think>{ANSWER}</think>", "no_representation"),
    "a think block without an end": (f"<think>{ANSWER}", "no_representation"),
    "prose": ("I am sorry, I cannot do that (yet).", "no_representation"),
    "nothing": ("", "no_representation"),
    "a name": ("inform", "no_representation"),
}


@pytest.mark.parametrize(("reply", "failure"), UNREAD.values(), ids=list(UNREAD))
def test_replies_that_commit_to_nothing(reply: str, failure: str) -> None:
    assert extract(reply).failure == failure
    assert extract(reply).representation is None


HOSTILE = {
    "dotted names": "a.a-" * 300_000,
    "unclosed values": "a(b[" * 200_000,
    "unclosed values on lines": "a(b[\n" * 200_000,
    "quotes that never close": 'a(b[“,“,"' * 100_000,
    "heads on lines": "a(\n" * 300_000,
    "think tags": "<think>" * 200_000,
    "a looping model": "inform(name[X])\n" * 60_000,
    "opening parentheses": "(" * 400_000 + ANSWER,
    "balanced walls": "[" * 100_000 + "]" * 100_000,
    "many slots": "a(" + "b[c]," * 100_000 + ")",
    "one word": "A" * 1_000_000,
    "line breaks behind it": "inform(name[A])" + "\n" * 1_000_000,
    "surrogates": "a(b[\ud800\udfff])" * 1000,
}


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_replies_cost_under_a_second(reply: str) -> None:
    started = time.process_time()
    extract(reply)
    assert time.process_time() - started < 1.0


@settings(deadline=None)  # a loaded machine is no failure
@given(st.text("inform(a[x], )]>)<|/think\n\"'", max_size=80))
def test_extraction_never_raises_and_is_repeatable(reply: str) -> None:
    assert extract(reply) == extract(reply)
