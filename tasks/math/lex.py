"""LaTeX or plain text -> tokens. Goes in: an answer of at most MAX_CHARACTERS. Comes out: tokens without layout.

Layout commands (\\left, \\displaystyle, \\!), dollar signs, degree and percent marks and currency are dropped here,
because the policy ignores them; numbers never are. Unicode mathematics becomes its LaTeX name. Every pattern is linear
in the text.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from tasks.math.values import MAX_CHARACTERS, MAX_DIGITS, MAX_TOKENS, UnreadableError

Kind = Literal["number", "letter", "command", "sign", "word", "begin", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is the letter, command name, sign or words; `value` the number; `spaced` if white space came before."""

    kind: Kind
    text: str
    value: Fraction = Fraction(0)
    spaced: bool = False


_UNICODE = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "×": r"\times ", "·": r"\cdot ",
    "⋅": r"\cdot ",
    "∙": r"\cdot ", "•": r"\cdot ", "÷": r"\div ", "∕": "/", "⁄": "/", "√": r"\sqrt ", "∛": r"\sqrt[3] ",
    "∜": r"\sqrt[4] ",
    "π": r"\pi ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "±": r"\pm ",
    "∓": r"\mp ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "ℝ": r"\mathbb{R}", "°": r"^\circ ",
    "º": r"^\circ ", "′": "'", "’": "'", "‘": "'", "“": '"', "”": '"', "\u2061": "", "\u200b": "", "\ufeff": "",
    "θ": r"\theta ",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "φ": r"\phi ", "ω": r"\omega ", "μ": r"\mu ",
    "σ": r"\sigma ", "Δ": r"\Delta ", "⟨": r"\langle ", "⟩": r"\rangle ", "〈": r"\langle ", "〉": r"\rangle ",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "（": "(", "）": ")", "，": ", ", "：": ":",
    "＝": "=", "＋": "+", "≈": r"\approx ", "∧": r"\land ", "∨": r"\lor ", "∖": r"\setminus ", "…": r"\ldots ",
    "∶": ":", "％": "%", "∣": "|", "│": "|", "‖": "|", "ⅈ": "i", "ℯ": "e", "𝜋": r"\pi ", "￥": "$", "€": "$",
    "£": "$", "¥": "$",
    "₹": "$", "¢": r"\cents ", "⇒": r"\implies ", "→": r"\implies ",
}  # fmt: skip
_FRACTIONS = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5),
              "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8), "⅐": (1, 7),
              "⅑": (1, 9), "⅒": (1, 10)}  # fmt: skip
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_TRANSLATION = str.maketrans(
    {**_UNICODE, **{sign: rf"\frac{{{top}}}{{{bottom}}}" for sign, (top, bottom) in _FRACTIONS.items()}}
)
_RAISED_RUN = re.compile(f"[{''.join(_RAISED)}]+")
_LOWERED_RUN = re.compile(f"[{''.join(_LOWERED)}]+")

_TEXT_COMMANDS = frozenset((
    "text", "textbf", "textit", "textrm", "textnormal", "mbox", "hbox", "mathrm", "operatorname", "mathbf",
    "boldsymbol", "bold", "bm", "mathit", "mathsf", "texttt", "mathtt", "textsf", "emph", "underline",
))  # fmt: skip
_DROPPED = frozenset((
    "left", "right", "big", "Big", "bigl", "bigr", "Bigl", "Bigr", "bigg", "Bigg", "biggl", "biggr", "Biggl",
    "Biggr", "middle", "displaystyle", "textstyle", "scriptstyle", "limits", "nolimits", "quad", "qquad",
    "hspace", "enspace", "thinspace", "medspace", "thickspace", "negthinspace", "mathstrut", "rm", "bf", "it",
    "boxed", "fbox", "mathord", "therefore", "because", "hfill", "par", "noindent", "centering", "phantom",
))  # fmt: skip
_RENAMED = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "choose": "choose",
    "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge", "neq": "ne", "lt": "<", "gt": ">", "ast": "*",
    "times": "*", "cdot": "*", "div": "/", "to": "approx", "cong": "approx", "simeq": "approx", "sim": "approx",
    "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "lbrace": "\\{", "rbrace": "\\}", "lbrack": "[",
    "rbrack": "]", "lparen": "(", "rparen": ")", "varnothing": "emptyset", "bigcup": "cup", "land": "and",
    "wedge": "and", "lor": "or", "vee": "or", "infinity": "infty", "degree": "circ", "degrees": "circ",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "colon": ":", "lbracket": "[", "rbracket": "]",
    "centerdot": "*", "Rightarrow": "implies", "rightarrow": "implies", "Longrightarrow": "implies",
    "Pi": "Pi", "varphi": "phi", "varepsilon": "epsilon",
}  # fmt: skip
_SIGNS_FROM_COMMANDS = frozenset({"<", ">", "*", "/", "|", "\\{", "\\}", "[", "]", "(", ")", ":"})

FUNCTIONS = frozenset((
    "sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "sinh", "cosh", "tanh", "ln", "log",
    "exp", "sqrt", "abs", "floor", "ceil", "gcd", "lcm", "max", "min", "det", "cbrt",
))  # fmt: skip
GREEK = frozenset((
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
    "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda",
    "Xi", "Sigma", "Upsilon", "Phi", "Psi", "Omega", "ell",
))  # fmt: skip
# Short unit names that would otherwise read as a product of letters. One-letter units are settled in equal.py.
SHORT_UNITS = frozenset((
    "cm", "mm", "km", "kg", "mg", "ml", "mL", "ft", "in", "yd", "mi", "lb", "lbs", "oz", "hr", "hrs", "sq", "cc",
    "mph", "kph", "rpm", "Hz", "kHz", "min", "sec", "am", "pm", "AM", "PM", "kW", "Pa", "mol", "cal", "st", "nd",
    "rd", "th", "no", "ft.", "hz", "dm", "nm", "hp", "gal", "pts", "pt",
))  # fmt: skip
SMALL_WORDS = frozenset((
    "of", "in", "to", "at", "on", "by", "per", "an", "my", "so", "as", "he", "it", "we", "the", "for", "and/or",
    "each",
))  # fmt: skip
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}

_TOKEN = re.compile(
    r"""(?P<space>(?:\s|~|\\[,;:!\ >]|\\\n)+)
    |(?P<grouped>\d{1,3}(?:(?:,|,\ (?=0)|\{,\}|,\\!\s*|\\,|\{\\,\})\d{3})+(?![\d])(?:\.\d+)?)
    |(?P<repeating>\d*\.\d*(?:\\(?:overline|bar|dot)\s*\{?\d+\}?|\(\d{1,12}\)))
    |(?P<dotted>\d{0,20}\.\d{0,12}?(?P<cycle>\d{1,6}?)(?P=cycle)+(?:\.\.\.+|\\l?dots\b|\\cdots\b))
    |(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+(?![\d.]*[A-Za-z]))?)
    |\\(?P<environment>begin|end)\s*\{(?P<name>[A-Za-z]+\*?)\}(?:\{[clr|\s]*\})?
    |(?P<break>\\\\(?:\[[^\]]{0,10}\])?|\\cr\b)
    |\\(?P<command>[A-Za-z]+)
    |(?P<escaped>\\[{}%$\#&_|])
    |(?P<word>[A-Za-z]+)
    |(?P<double>\*\*|<=|>=|!=|==|\.\.\.|~=|\|\|)
    |(?P<sign>.)""",
    re.X | re.S,
)
_BRACED = re.compile(r"\s*\{([^{}]*)\}")
_GLUED = re.compile(r"(sin|cos|tan|cot|sec|csc|ln|log|sqrt)(pi|theta|[a-z])$")


def plain(text: str) -> str:
    """`text` with unicode mathematics as LaTeX, raised and lowered digits as exponents and subscripts."""
    if len(text) > MAX_CHARACTERS:
        raise UnreadableError(f"an answer of {len(text)} characters; at most {MAX_CHARACTERS} are read")
    if text.isascii():
        return text
    text = _RAISED_RUN.sub(lambda run: "^{" + "".join(_RAISED[c] for c in run[0]) + "}", text)
    text = _LOWERED_RUN.sub(lambda run: "_{" + "".join(_LOWERED[c] for c in run[0]) + "}", text)
    return text.translate(_TRANSLATION)


def tokens(text: str) -> list[Token]:
    """The tokens of `text`. Raises UnreadableError beyond the limits."""
    found: list[Token] = []
    position, spaced, brackets = 0, False, 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None  # the last alternative takes any character
        if match.lastgroup == "grouped" and brackets > 0 and "," in match[0] and "{" not in match[0]:
            match = re.compile(r"(?P<number>\d+)").match(text, position)  # (1,234) is a pair
            assert match is not None
        position = match.end()
        if match["space"] if "space" in match.groupdict() else None:
            spaced = True
            continue
        in_unit = len(found) > 1 and found[-1].text == "/" and found[-2].kind == "word"  # km/hr
        new, position = _token(match, text, position, spaced or in_unit)
        for token in new:
            if token.text in ("(", "[", "\\{"):
                brackets += 1
            elif token.text in (")", "]", "\\}"):
                brackets -= 1
        found += new
        spaced = False
        if len(found) > MAX_TOKENS:
            raise UnreadableError(f"an answer of more than {MAX_TOKENS} symbols")
    return found


def _token(match: re.Match[str], text: str, position: int, spaced: bool) -> tuple[list[Token], int]:
    groups = match.groupdict()
    if groups.get("grouped"):
        return [_number(re.sub(r"[^\d.]", "", match[0]), spaced)], position
    if groups.get("repeating"):
        return [_repeating(match[0], spaced)], position
    if groups.get("dotted"):
        return [_dotted(match[0], groups["cycle"], spaced)], position
    if groups.get("number"):
        return [_number(match[0], spaced)], position
    if groups.get("environment"):
        kind: Kind = "begin" if groups["environment"] == "begin" else "end"
        return [Token(kind, groups["name"])], position
    if groups.get("break"):
        return [Token("sign", "\\\\")], position
    if groups.get("command"):
        return _command(groups["command"], text, position, spaced)
    if groups.get("escaped"):
        return ([Token("sign", match[0])] if match[0] in ("\\{", "\\}", "\\|") else []), position
    if groups.get("word"):
        return _word(match[0], spaced), position
    sign = {"**": "^", "<=": "le", ">=": "ge", "!=": "ne", "==": "=", "...": "ldots", "~=": "approx", "||": "|"}.get(
        match[0], match[0]
    )
    if sign in ("le", "ge", "ne", "ldots", "approx"):
        return [Token("command", sign, spaced=spaced)], position
    if sign in '%$#`"':
        return [], position
    return [Token("sign", sign, spaced=spaced)], position


def _number(digits: str, spaced: bool) -> Token:
    if len(digits) > MAX_DIGITS:
        raise UnreadableError(f"a number of {len(digits)} characters; at most {MAX_DIGITS} are read")
    mantissa, _, exponent = digits.lower().partition("e")
    if exponent and abs(int(exponent[:8])) > MAX_DIGITS:
        raise UnreadableError(f"an exponent of {exponent[:8]}; at most {MAX_DIGITS} is read")
    value = Fraction(mantissa if not mantissa.startswith(".") else "0" + mantissa)
    if exponent:
        value *= Fraction(10) ** int(exponent)
    return Token("number", digits, value, spaced)


def _repeating(text: str, spaced: bool) -> Token:
    whole, _, rest = text.partition(".")
    fixed, cycle, *_ = re.split(r"[^\d]+", rest)
    if len(text) > MAX_DIGITS:
        raise UnreadableError(f"a number of {len(text)} characters; at most {MAX_DIGITS} are read")
    value = Fraction(int(whole or "0")) + Fraction(int(fixed or "0"), 10 ** len(fixed))
    value += Fraction(int(cycle), (10 ** len(cycle) - 1) * 10 ** len(fixed))
    return Token("number", text, value, spaced)


def _dotted(text: str, cycle: str, spaced: bool) -> Token:
    """0.333... and 0.1666...: the digits that are seen to repeat go on."""
    digits = re.match(r"[\d.]*\d", text)
    assert digits is not None
    whole, _, decimals = digits[0].partition(".")
    fixed = decimals
    while fixed.endswith(cycle):
        fixed = fixed[: -len(cycle)]
    return _repeating(f"{whole}.{fixed}\\overline{{{cycle}}}", spaced)


def _command(name: str, text: str, position: int, spaced: bool) -> tuple[list[Token], int]:
    if name in _TEXT_COMMANDS or name == "mathbb":
        content = _BRACED.match(text, position)
        if content is None:
            return [], position
        return _worded(name, content[1], spaced), content.end()
    if name in ("color", "hspace", "vspace", "phantom", "hphantom"):
        content = _BRACED.match(text, position)
        return [], content.end() if content else position
    if name in _DROPPED:
        return [], position
    name = _RENAMED.get(name, name)
    if name == "cents":
        return [Token("word", "cents", spaced=True)], position
    if name in _SIGNS_FROM_COMMANDS:
        return [Token("sign", name, spaced=spaced)], position
    if name in GREEK:
        return [Token("letter", name, spaced=spaced)], position
    return [Token("command", name, spaced=spaced)], position


def _worded(command: str, content: str, spaced: bool) -> list[Token]:
    """The tokens of \\text{...}: words, unless it holds mathematics (a number, a letter in bold)."""
    stripped = content.strip()
    if command == "mathbb":
        return [Token("command", f"mathbb{stripped}", spaced=spaced)]
    if not stripped:
        return []
    if stripped in ("+", "-"):
        return [Token("sign", stripped, spaced=spaced)]
    if stripped.lower() in ("and", "or"):
        return [Token("command", stripped.lower(), spaced=True)]
    if len(stripped) == 1 and stripped.isalpha() and command not in ("text", "mbox", "hbox", "textrm", "textnormal"):
        bold = command in ("mathbf", "boldsymbol", "bold", "bm")
        return [Token("letter", f"{stripped}:bold" if bold else stripped, spaced=spaced)]
    if stripped in FUNCTIONS or stripped in _RENAMED:
        return [Token("command", _RENAMED.get(stripped, stripped), spaced=spaced)]
    if re.search(r"[\d\\^_(=]", stripped) and not re.fullmatch(r"\(?[A-Za-z]\)?", stripped):
        return tokens(stripped)
    return [Token("word", stripped, spaced=True)]


def _word(run: str, spaced: bool) -> list[Token]:
    low = run.lower()
    if run in FUNCTIONS or low in ("sqrt", "sin", "cos", "tan", "log", "ln", "exp"):
        return [Token("command", low, spaced=spaced)]
    if run in ("arcsin", "arccos", "arctan"):
        return [Token("command", _RENAMED[run], spaced=spaced)]
    if low in ("and", "or", "union"):
        return [Token("command", "cup" if low == "union" else low, spaced=spaced)]
    if low in ("is", "equals") and spaced:
        return [Token("sign", "=", spaced=True)]
    if low in SMALL_WORDS and (spaced or len(run) > 2):
        return [Token("word", run, spaced=True)]
    if low in ("infinity", "inf", "oo"):
        return [Token("command", "infty", spaced=spaced)]
    if low == "pi":
        return [Token("command", "pi", spaced=spaced)]
    if run in GREEK:
        return [Token("letter", run, spaced=spaced)]
    glued = _GLUED.match(run)
    if glued:
        return [Token("command", glued[1], spaced=spaced), *_word(glued[2], False)]
    if (run in SHORT_UNITS and spaced) or run in ("cm", "mm", "km", "kg", "ft", "lbs", "mph", "pm", "am", "PM", "AM"):
        return [Token("word", run, spaced=spaced)]
    if len(run) <= 2 or _is_product_of_letters(run):
        return [Token("letter", letter, spaced=spaced and not place) for place, letter in enumerate(run)]
    return [Token("word", run, spaced=spaced)]


def _is_product_of_letters(run: str) -> bool:
    """abc, xyz and bcd are products; words have vowels and are not runs of the alphabet."""
    if len(run) > 5:
        return False
    if all(ord(b) - ord(a) == 1 for a, b in itertools.pairwise(run)):
        return True
    return not set(run.lower()) & set("aeiou") and not (run.isupper() and len(run) > 4)
