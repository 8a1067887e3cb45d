"""Texts that look like a secret or like a person's data: keys, tokens, passwords; e-mail, phone, card, account numbers.

In: text. Out: what was found by kind, and the text with every find masked, so that nothing is ever printed whole. A
pattern needs its own prefix or its own check digits; a long random-looking word alone is a suspect named "random token".
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

CREDENTIALS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (
            "private key",
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]{0,4000}-----END [A-Z ]{0,30}PRIVATE KEY-----)?",
        ),
        ("AWS key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        ("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{30,255})\b"),
        ("API key", r"\bsk-[A-Za-z0-9_-]{20,200}"),
        ("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,60}\b"),
        ("Google key", r"\bAIza[A-Za-z0-9_-]{35}"),
        ("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}"),
        ("Stripe key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,250}"),
        ("JSON web token", r"\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,2000}"),
        ("password in a URL", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,100}:[^\s/:@]{3,100}@[^\s/@]{3,200}"),
        (
            "password",
            r"(?i)\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token)\b\s{0,3}(?::|=)\s{0,3}['\"]?"
            r"(?=[^\s'\"]{0,60}\d)(?=[^\s'\"]{0,60}[a-z])[^\s'\",;]{8,100}",
        ),
    )
)
PERSONAL: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (
            "e-mail address",
            r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}\b",
        ),
        ("card number", r"(?<![\d.,-])(?:\d[ -]?){12,18}\d(?![\d.,-]*\d)"),
        ("account number (IBAN)", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
        ("social security number", r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"),
        (
            "phone number",
            r"(?<![\w.,-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){2,4}"
            r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4})(?![\w-])",
        ),
    )
)
_TOKEN = re.compile(r"(?<![\w/+=-])[A-Za-z0-9_/+=-]{32,512}(?![\w/+=-])")
_LEAST_BITS = 4.0  # of a character of a random token: hexadecimal and English words stay below


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A find: where it stands in the text, its kind, and whether it opens a door (else it is a person's data)."""

    kind: str
    start: int
    end: int
    is_credential: bool


def secrets(text: str) -> list[Secret]:
    """Every find in `text`, in order, none inside another."""
    found = sorted(_found(text), key=lambda secret: (secret.start, -secret.end))
    kept: list[Secret] = []
    for secret in found:
        if not kept or secret.start >= kept[-1].end:
            kept.append(secret)
    return kept


def masked(text: str) -> str:
    """`text` with each find as its first two characters, dots and its length."""
    out, place = [], 0
    for secret in secrets(text):
        out += [text[place : secret.start], _mask(text[secret.start : secret.end])]
        place = secret.end
    return "".join([*out, text[place:]])


def _mask(found: str) -> str:
    return f"{found[:2]}\u2022\u2022\u2022({len(found)} characters)"


def _found(text: str) -> Iterator[Secret]:
    if len(text) < 8:
        return
    for patterns, is_credential in ((CREDENTIALS, True), (PERSONAL, False)):
        for kind, pattern in patterns:
            for match in pattern.finditer(text):
                if _checks(kind, match[0]):
                    yield Secret(kind=kind, start=match.start(), end=match.end(), is_credential=is_credential)
    for match in _TOKEN.finditer(text):
        if _is_random(match[0]):
            yield Secret(kind="random token", start=match.start(), end=match.end(), is_credential=True)


def _checks(kind: str, found: str) -> bool:
    """Check digits, where the kind has them."""
    if kind == "card number":
        digits = [int(letter) for letter in found if letter.isdigit()]
        doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
        return len(set(digits)) > 1 and digits[0] in (3, 4, 5, 6) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
    if kind.startswith("account"):
        letters = re.sub(r"\s", "", found)
        return int("".join(str(int(letter, 36)) for letter in letters[4:] + letters[:4])) % 97 == 1
    return True


def _is_random(word: str) -> bool:
    kinds = sum(any(test(letter) for letter in word) for test in (str.isupper, str.islower, str.isdigit))
    counts = Counter(word)
    bits = -sum(count / len(word) * math.log2(count / len(word)) for count in counts.values())
    return kinds == 3 and bits > _LEAST_BITS and not re.search(r"[A-Za-z]{12}|(?:[/_-]\w{1,12}){4}", word)
