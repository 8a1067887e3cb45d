"""Language and encoding: what a text holds that its author did not mean. In: items. Out: findings and removals.

Mojibake is UTF-8 read as another encoding: a lead byte's letter followed by a continuation byte's. Damage (mojibake,
the replacement mark, control characters, lone surrogates) is removed from train; what can be meant (a non-breaking
space, an unusual Unicode form, an HTML entity, another language) is only reported. Secrets (secrets.py) are never
shown whole. A word is of mixed scripts when letters of two scripts that do not belong together stand in it: a
Cyrillic letter inside a Latin word looks right and tokenises wrong.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.curate.finding import DataFinding, Found, Group, Item, Severity, Specimen, excerpt, listed, share
from harness.curate.secrets import secrets

# The letters that UTF-8 lead bytes C2..F4 become in Windows-1252 and Latin-1, before those of continuation bytes 80..BF.
_CONTINUATION = "\u0080-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018\u2019" \
    "\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178"  # fmt: skip
_MOJIBAKE = re.compile(
    f"[\u00c2\u00c3][{_CONTINUATION}]|[\u00c4-\u00df](?:[\u0080-\u009f])|\u00e2(?:\u20ac|\u0080)[{_CONTINUATION}]"
    f"|\u00f0(?:\u0178|\u009f)[{_CONTINUATION}]|\u00ef\u00bf\u00bd|\u00ef\u00bb\u00bf"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_HIDDEN = re.compile("[\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_ENTITY = re.compile(
    r"&(?:amp|lt|gt|quot|nbsp|apos|#\d{2,5}|#x[0-9a-fA-F]{2,4});|</?(?:br|p|div|span|b|i|a|td|tr|li)\b[^<>]{0,80}>"
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_FUNCTION_WORDS = {
    "English": "the of and to in is that for it with as was on are by this be from or an which have not at what how who",
    "German": "der die und das ist nicht ein eine mit den von zu auf dem für sich des wie wird welche viele haben",
    "French": "le la les des est une dans et du pour que qui sur pas avec au sont combien quel quelle",
    "Spanish": "el los las una que por con para del es en y cuál cuántos cuántas quién como son qué",
    "Italian": "il di che è un una per non sono con del della gli quanti quale come nel alla",
    "Portuguese": "o os uma que não para com do da em são qual quantos como dos das pelo",
    "Dutch": "de het een van en is niet dat op te zijn met voor hoeveel welke wat naar",
}
_LANGUAGES = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
_LEAST_WORDS = 6
_TOGETHER = frozenset({"HIRAGANA", "KATAKANA", "CJK", "HANGUL"})


@dataclass(frozen=True, kw_only=True)
class Look:
    """One thing to look for: text -> what was seen, "" for nothing. `removes`: cleaning leaves such training items out."""

    key: str
    title: str
    severity: Severity
    remedy: str
    seen: Callable[[str], str]
    removes: bool = False
    group: Group = "text"


def text_findings(items: Sequence[Item]) -> Found:
    """Everything that is looked for in the characters of inputs and golds, the language, secrets and personal data."""
    found = Found()
    for look in LOOKS:
        seen = functools.lru_cache(maxsize=None)(look.seen)  # items share schemas
        pairs = [(item, what) for item in items if (what := next(filter(None, map(seen, _texts(item))), ""))]
        found.add(_finding(look, pairs, len(items)))
    found.add(_language(items))
    return found


def _finding(look: Look, pairs: Sequence[tuple[Item, str]], total: int, more: str = "") -> Found:
    removals = {
        item.example.id: f"{look.title.lower()}: {excerpt(what, 80)}"
        for item, what in pairs
        if look.removes and item.split == "train"
    }
    finding = DataFinding(
        key=look.key,
        group=look.group,
        title=look.title,
        severity=look.severity if pairs else "good",
        count=len(pairs),
        total=total,
        detail=f"{share(len(pairs), total)} items{more}." if pairs else "None found.",
        remedy=look.remedy if pairs else "",
        removed=len(removals),
        specimens=listed(_specimen(item, what) for item, what in pairs),
    )
    return Found(findings=[finding], removals=removals)


def _specimen(item: Item, what: str) -> Specimen:
    return Specimen(place=item.place, lines=(("found", excerpt(what)), ("input", excerpt(item.anatomy.text))))


def _texts(item: Item) -> Iterator[str]:
    yield item.example.gold
    yield from _strings(item.example.inputs)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield str(key)
            yield from _strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _strings(part)


# ---- what is looked for: text -> what was seen, "" for nothing ---------------------------------------------


def _around(match: re.Match[str] | None) -> str:
    return "" if match is None else match.string[max(0, match.start() - 20) : match.end() + 20]


def _mojibake(text: str) -> str:
    return "" if text.isascii() else _around(_MOJIBAKE.search(text))


def _damage(text: str) -> str:
    if match := _CONTROL.search(text):
        return f"control character U+{ord(match[0]):04X}"
    if "\ufffd" in text:
        return "the replacement mark U+FFFD"
    surrogate = next((letter for letter in text if "\ud800" <= letter <= "\udfff"), "") if not text.isascii() else ""
    return f"lone surrogate U+{ord(surrogate):04X}" if surrogate else ""


def _hidden(text: str) -> str:
    if text.isascii():
        return ""
    match = _HIDDEN.search(text)
    return f"U+{ord(match[0]):04X} {unicodedata.name(match[0], '')}" if match else ""


def _form(text: str) -> str:
    """Not in canonical composition, or white space and letters that compatibility folding would change."""
    if text.isascii():
        return ""
    if not unicodedata.is_normalized("NFC", text):
        return "not in canonical composition (NFC)"
    odd = next(
        (
            c
            for c in text
            if c in "\u00a0\u2002\u2003\u2009\u202f\u3000" or "\ufb00" <= c <= "\ufb06" or "\uff01" <= c <= "\uff5e"
        ),
        "",
    )
    return f"U+{ord(odd):04X} {unicodedata.name(odd, '')}" if odd else ""


def _entity(text: str) -> str:
    return _around(_ENTITY.search(text)) if "&" in text or "<" in text else ""


def _mixed(text: str) -> str:
    if text.isascii():
        return ""
    for word in _WORD.findall(text):
        scripts = {
            unicodedata.name(letter, "?").split()[0] for letter in word if not letter.isascii() or letter.isalpha()
        }
        scripts &= {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "ARABIC", "HEBREW", *_TOGETHER}
        if len(scripts) > 1 and not scripts <= _TOGETHER and len(word) > 2:
            return f"{word} ({', '.join(sorted(scripts)).lower()})"
    return ""


def _credentials(text: str) -> str:
    return ", ".join(sorted({secret.kind for secret in secrets(text) if secret.is_credential}))


def _personal(text: str) -> str:
    return ", ".join(sorted({secret.kind for secret in secrets(text) if not secret.is_credential}))


_LEFT_OUT = "Mend the source; cleaning leaves these training items out."
LOOKS = (
    Look(key="mojibake", title="Mojibake", severity="error", seen=_mojibake, removes=True, remedy=_LEFT_OUT),
    Look(key="damage", title="Broken characters", severity="error", seen=_damage, removes=True, remedy=_LEFT_OUT),
    Look(key="hidden", title="Invisible characters", severity="warning", seen=_hidden,
         remedy="Strip them at the source: they change tokens, not what is read."),
    Look(key="mixed-scripts", title="Words of mixed scripts", severity="warning", seen=_mixed,
         remedy="Replace the look-alike letters at the source."),
    Look(key="entities", title="HTML left in the text", severity="warning", seen=_entity,
         remedy="Unescape the source before making items of it."),
    Look(key="unicode-form", title="Unusual Unicode forms", severity="note", seen=_form,
         remedy="Normalise to NFC and plain spaces at the source."),
    Look(key="credentials", title="Keys, tokens and passwords", severity="error", seen=_credentials, removes=True,
         group="secrets", remedy="Revoke what is real; cleaning leaves these training items out."),
    Look(key="personal", title="Personal data", severity="warning", seen=_personal, group="secrets",
         remedy="Decide whether a model may learn it; cleaning keeps it, since a question may be about an invented address."),
)  # fmt: skip


# ---- language ---------------------------------------------------------------------------------------------


def _language(items: Sequence[Item]) -> Found:
    """Items whose function words are of another language than most items'."""
    told = [(item, language) for item in items if (language := language_of(item.anatomy.text))]
    counts = Counter(language for _, language in told)
    main = counts.most_common(1)[0][0] if counts else ""
    others = [(item, language) for item, language in told if language != main]
    more = ", ".join(f"{language} {count:,}" for language, count in counts.most_common())
    look = Look(
        key="language",
        title=f"Items not in {main}" if main else "Items of another language",
        severity="warning" if len(others) * 200 > len(items) else "note",
        seen=language_of,
        remedy="Keep them only if the model is meant to answer in these languages.",
    )
    return _finding(look, others, len(items), f" ({more})" if others else "")


def language_of(text: str) -> str:
    """The language whose function words `text` has most of; "" when it is short or no language leads clearly."""
    words = [word.casefold() for word in _WORD.findall(text[:2000])]
    if len(words) < _LEAST_WORDS:
        return ""
    latin = sum(letter.isascii() or "LATIN" in unicodedata.name(letter, "") for word in words for letter in word)
    if latin * 2 < sum(map(len, words)):
        letter = next(letter for word in words for letter in word if not letter.isascii())
        return f"{unicodedata.name(letter, 'unknown').split()[0].lower()} script"
    counts = Counter({language: sum(word in known for word in words) for language, known in _LANGUAGES.items()})
    (first, most), (_, second) = counts.most_common(2)
    return first if most >= 2 and most >= 1.5 * second else ""
