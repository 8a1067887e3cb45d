"""What a commitment says -> the answer in it: without lead-in words, the rest of its sentence, and marks around it.

Also whether what it says is a hedge, is cut off, or is no answer at all. Patterns are linear.
"""

from __future__ import annotations

import re

from tasks.math.phrases import ASIDE, CLAUSE, HEDGE, HEDGE_BEHIND, INLINE, IS_THE_ANSWER, LEAD_IN, TO_RANGE

_VALUE_SIGN = re.compile(r"\d|\\frac|\\sqrt|\$")
_CUT_END = re.compile(r"^[$-]$|(?:\\(?:frac|sqrt|dfrac|left|cdot|times|text)|[+*/=^_<\\]|(?<=\s)-)\s*$")
_SAYS_NOTHING = re.compile(
    r"(?:correct|right|wrong|incorrect|consistent|reasonable|confirmed|verified|obvious|clear|given|the\s+same|found|"
    r"as\s+follows|below|in\s+the|that|therefore|simple|not\s+an?\b|an\s+integer|a\s+whole)\b",
    re.I,
)
_ALSO = re.compile(r"\s*(?:,|and|or)\s|\s*\(?\s*(?:in\s+)?base\b")
_APPROXIMATELY = re.compile(r"^(?:=>|[=:≈→⇒∴✓✔✅]|\\(?:approx|Rightarrow|implies|therefore|to)\b)\s*")
_DISPLAY_MARKS = re.compile(r"^\\\[|\\\]$|^\\\(|\\\)$")
_LABEL = re.compile(r"^[A-Za-z][A-Za-z ]{1,40}:\s+(?=[-$\\(\[.\d])")  # "Total: 6 apples"
_MARKUP = re.compile(r"</?(?:b|strong|em|i|u|p|span|code)(?:\s[^<>]{0,60})?>", re.I)
_QUOTED_LINE = re.compile(r"^>\s+(?=\*\*)")


def is_weakened(text: str) -> bool:
    """At least 5; between 3 and 5; 5 or more; 3 to 5."""
    value = _VALUE_SIGN.search(text)
    hedge = HEDGE.search(text)
    before = hedge is not None and value is not None and hedge.start() < value.start()
    return before or HEDGE_BEHIND.search(text) is not None or TO_RANGE.match(text) is not None


def is_cut(text: str) -> bool:
    """Ends in the middle: open braces, an operator, a bare command that wants an argument."""
    if text.count("{") - text.count("\\{") != text.count("}") - text.count("\\}"):
        return True
    return _CUT_END.search(text) is not None


def says_something(text: str) -> bool:
    """A phrase like "the answer is correct" commits to nothing."""
    return _SAYS_NOTHING.match(text) is None


def clause(text: str) -> str:
    """The part of a phrase before the sentence turns elsewhere; a point inside a number or formula does not end it."""
    inner = text.lstrip(" *:")
    math = INLINE.match(inner)
    if math and not _ALSO.match(inner, math.end()):
        return text[: len(text) - len(inner) + math.end()]
    aside = ASIDE.match(text)
    if aside:
        return aside[1] or aside[2]
    for match in CLAUSE.finditer(text):
        if text[: match.start()].strip(" *:$"):
            return text[: match.start()]
    return text


def trimmed(text: str) -> str:
    """`text` without lead-in words, quotes, emphasis, and the punctuation behind it."""
    text = _MARKUP.sub("", _QUOTED_LINE.sub("", text.strip())).strip("*_`\"' \t")
    text = LEAD_IN.sub("", text.lstrip("} ") if text.startswith("}") else text)  # \\text{Answer: } 6
    text = _APPROXIMATELY.sub("", text)
    text = IS_THE_ANSWER.sub("", text.rstrip(".")) if text.endswith(("answer", "answer.")) else text
    text = _DISPLAY_MARKS.sub("", text).strip()
    text = _LABEL.sub("", text)
    if text.endswith(("\\,", "...")):
        return text
    text = text.rstrip(".,;: ✓✔✅").strip("*` ")
    return text.rstrip("}\"' ") if text.endswith("}") and "{" not in text else text
