"""The grammar of answers: tokens -> a typed value, by recursive descent. Nothing is evaluated here.

Loosest first: list by , ; and or | relation chain | union | sum | product (juxtaposition, mixed numbers) | power,
factorial, subscript | number, letter, function, fraction, root, brackets, matrix. The depth and size limits of
values.py hold while reading. Raises UnreadableError where the grammar ends.
"""

from __future__ import annotations

import re
from fractions import Fraction

from tasks.math.build import as_expression, label, matrix_sum, real_line, scaled, without_points
from tasks.math.grammar_parts import bracket, function, matrix, root
from tasks.math.lex import FUNCTIONS, Token
from tasks.math.values import (
    MAX_DEPTH,
    MAX_ITEMS,
    Apply,
    Based,
    Bracketed,
    Chain,
    Collection,
    Constant,
    Expression,
    Matrix,
    Number,
    PlusMinus,
    Power,
    Product,
    Ratio,
    Relation,
    Sum,
    UnionOf,
    UnreadableError,
    Value,
    Variable,
)

_RELATIONS = {"=": "=", "<": "<", ">": ">", "le": "<=", "ge": ">=", "ne": "!=", "in": "in", "equiv": "="}


class Reader:
    """One pass over the tokens; `depth` counts nesting so that the interpreter's own stack is never the limit."""

    def __init__(self, found: list[Token]) -> None:
        self.found = found
        self.place = 0
        self.depth = 0
        self.bars = 0
        self.in_braces = False
        self.in_angles = False

    # ---- moving through the tokens

    def peek(self, ahead: int = 0) -> str:
        """The text of a coming sign or command, "" for the end or any other token."""
        token = self.token(ahead)
        return token.text if token is not None and token.kind in ("sign", "command") else ""

    def token(self, ahead: int = 0) -> Token | None:
        place = self.place + ahead
        return self.found[place] if place < len(self.found) else None

    def take(self, text: str) -> bool:
        if self.peek() == text:
            self.place += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            got = self.token()
            raise UnreadableError(f"expected {text!r}, got {got.text[:20] if got else 'the end'!r}")

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableError(f"nested deeper than {MAX_DEPTH}")

    # ---- lists, relations, unions

    def value(self) -> Value:
        items, joined_by_or = self.items(("and", "or"))
        if self.token() is not None:
            raise UnreadableError(f"cannot read on at {self.found[self.place].text[:20]!r}")
        if len(items) == 1:
            return items[0]
        return Collection("list", tuple(items), joined_by_or)

    def items(self, joiners: tuple[str, ...] = ()) -> tuple[list[Value], bool]:
        items, joined_by_or = [self.statement()], False
        while self.peek() in (",", ";", *joiners):
            if self.peek() == "or":
                joined_by_or = True
            self.place += 1
            while self.peek() in (",", *joiners):  # "1, 2, and 3"
                joined_by_or = joined_by_or or self.peek() == "or"
                self.place += 1
            if self.token() is None:
                break
            items.append(self.statement())
            if len(items) > MAX_ITEMS:
                raise UnreadableError(f"more than {MAX_ITEMS} items")
        return items, joined_by_or

    def statement(self) -> Value:
        sides: list[Value] = [self.union()]
        ops: list[str] = []
        while self.peek() in _RELATIONS or self.peek() in ("approx", "implies"):
            sign = self.peek()
            if sign == ">" and self.in_angles:
                break
            self.place += 1
            if sign == "approx":  # what stands after "about" is a restatement
                self.union()
                continue
            if sign == "implies":
                sides, ops = [], []
                sides.append(self.union())
                continue
            ops.append(_RELATIONS[sign])
            sides.append(self.union())
        if not ops:
            return sides[0]
        if len(ops) == 1:
            return Relation(ops[0], sides[0], sides[1])
        return Chain(tuple(Relation(op, sides[k], sides[k + 1]) for k, op in enumerate(ops)))

    def union(self) -> Value:
        parts = [self.sum()]
        while self.peek() in ("cup", "setminus"):
            self.place += 1
            if self.found[self.place - 1].text == "cup":
                parts.append(self.sum())
            else:
                parts[-1] = without_points(parts[-1], self.sum())
        if len(parts) == 1 and self.peek() == ":" and not self.in_braces:
            ratio = [as_expression(parts[0])]
            while self.take(":"):
                ratio.append(as_expression(self.sum()))
            return Ratio(tuple(ratio))
        return parts[0] if len(parts) == 1 else UnionOf(tuple(parts))

    # ---- sums and products

    def sum(self) -> Value:
        self.deeper()
        first = self.signed_product()
        if self.peek() not in ("+", "-", "pm", "mp"):
            self.depth -= 1
            return first
        terms = [first]
        while self.peek() in ("+", "-", "pm", "mp"):
            terms.append(self.signed_product())
        self.depth -= 1
        if any(isinstance(term, Matrix) for term in terms):
            return matrix_sum(terms)
        return Sum(tuple(as_expression(term) for term in terms))

    def signed_product(self) -> Value:
        sign = self.peek()
        if sign in ("+", "-", "pm", "mp"):
            self.place += 1
            self.deeper()
            inner = self.signed_product() if self.peek() in ("+", "-") else self.product()
            self.depth -= 1
            if sign == "+":
                return inner
            if sign == "-":
                return scaled(Number(Fraction(-1)), inner)
            return PlusMinus(as_expression(inner), sign == "mp")
        return self.product()

    def product(self) -> Value:
        value = self.power()
        while True:
            sign = self.peek()
            if sign in ("*", "/"):
                self.place += 1
                if self.token() is None:
                    raise UnreadableError("a product without its last factor")
                right = self.signed_power()
                if sign == "/":
                    right = Power(as_expression(right), Number(Fraction(-1)))
                value = scaled(value, right)
            elif self.starts_factor():
                value = scaled(value, self.power())
            else:
                return value

    def signed_power(self) -> Value:
        if self.peek() in ("-", "+"):
            negative = self.peek() == "-"
            self.place += 1
            inner = self.power()
            return scaled(Number(Fraction(-1)), inner) if negative else inner
        return self.power()

    def starts_factor(self) -> bool:
        token = self.token()
        if token is None:
            return False
        if token.kind in ("letter", "begin"):
            return True
        if token.kind == "number":
            before = self.found[self.place - 1]
            return (before.kind != "number" and before.text not in ("pi",) and not token.spaced) or before.text in (
                ")",
                "}",
            )
        if token.kind == "sign":
            return token.text in ("(", "{") or (token.text == "|" and self.bars == 0)
        return token.text in FUNCTIONS or token.text in (
            "frac", "sqrt", "pi", "infty", "binom", "lfloor", "lceil", "overline", "mathbbR")  # fmt: skip

    # ---- powers and atoms

    def power(self) -> Value:
        value = self.atom()
        while True:
            if self.peek() == "!":
                self.place += 1
                value = Apply("factorial", (as_expression(value),))
            elif self.peek() == "^":
                self.place += 1
                if self._degree_or_ordinal():
                    continue
                value = Power(as_expression(value), self.exponent())
            elif self.peek() == "circ":
                self.place += 1
            else:
                return value

    def _degree_or_ordinal(self) -> bool:
        """Drops ^\\circ, ^{\\circ} and ^{th}: marks, not powers."""
        if self.take("circ"):
            token = self.token()
            if token is not None and token.kind == "letter" and token.text in ("C", "F") and not token.spaced:
                self.place += 1
            return True
        if self.peek() == "{" and self.peek(1) == "circ" and self.peek(2) == "}":
            self.place += 3
            return True
        if self.peek() == "{":
            inner = "".join(t.text for t in self.found[self.place + 1 : self.place + 4])
            if re.match(r"(?:st|nd|rd|th)\}", inner):
                self.place += inner.index("}") + 2
                return True
        return False

    def exponent(self) -> Expression:
        self.deeper()
        if self.peek() == "{":
            inner = as_expression(self.argument())
        elif self.peek() in ("-", "+"):
            negative = self.peek() == "-"
            self.place += 1
            inner = self.exponent()
            if negative:
                inner = Product((Number(Fraction(-1)), inner))
        else:
            inner = as_expression(self.atom())
            if self.peek() == "^":
                self.place += 1
                inner = Power(inner, self.exponent())
        self.depth -= 1
        return inner

    def argument(self, *, one_digit: bool = False) -> Value:
        """The argument of \\frac, \\sqrt or ^: a braced value, else one atom (\\frac12 takes single digits)."""
        if self.take("{"):
            value = self.statement_list("}")
            self.expect("}")
            return value
        token = self.token()
        if token is None:
            raise UnreadableError("an argument is missing")
        if one_digit and token.kind == "number" and len(token.text) > 1 and token.text.isdigit():
            head, rest = token.text[0], token.text[1:]
            self.found[self.place] = Token("number", rest, Fraction(int(rest)))
            return Number(Fraction(int(head)))
        return self.atom()

    def statement_list(self, closing: str) -> Value:
        if self.peek() == closing:
            raise UnreadableError("empty braces")
        items, _ = self.items()
        return items[0] if len(items) == 1 else Collection("list", tuple(items))

    def atom(self) -> Value:
        token = self.token()
        if token is None:
            raise UnreadableError("the answer ends too early")
        self.place += 1
        if token.kind == "number":
            return self.number(token)
        if token.kind == "letter":
            return self.letter(token)
        if token.kind == "begin":
            return matrix(self, token.text)
        if token.kind in ("sign", "command"):
            self.deeper()
            value = bracket(self, token.text) if token.kind == "sign" else self.command(token.text)
            self.depth -= 1
            return value
        raise UnreadableError(f"cannot read {token.text[:20]!r} here")

    def number(self, token: Token) -> Value:
        value = Number(token.value)
        whole = token.text.isdigit()
        if self.peek() == "_" and whole:
            self.place += 1
            base = self.argument()
            if not isinstance(base, Number) or base.value.denominator != 1 or not 2 <= base.value <= 36:
                raise UnreadableError("a subscript that is no base")
            return Based(token.text.lstrip("0") or "0", int(base.value))
        after = self.token()
        if whole and after is not None and self.peek() == "frac" and self._numeric_fraction():
            return Sum((value, as_expression(self.atom())))
        if whole and after is not None and after.kind == "number" and after.spaced and after.text.isdigit():
            bottom = self.token(2)
            if self.peek(1) == "/" and bottom is not None and bottom.kind == "number" and bottom.value != 0:
                self.place += 3
                return Sum((value, Number(Fraction(after.value, bottom.value))))
            if len(after.text) == 3 and len(token.text) <= 3:  # 10 000
                self.place += 1
                return self.number(Token("number", token.text + after.text, token.value * 1000 + after.value))
        return value

    def _numeric_fraction(self) -> bool:
        """True when the \\frac that comes has plain digits above and below: 1\\frac{4}{5} is a sum."""
        inside = "".join(t.text for t in self.found[self.place + 1 : self.place + 7])
        return re.match(r"\{\d+\}(?:\{\d+\}|\d)|\d+(?:\{\d+\})?", inside) is not None

    def letter(self, token: Token) -> Value:
        if self.take("_"):
            sub = self.argument()
            name = f"{token.text}_{label(sub)}"
            return Variable(name)
        name = token.text
        while self.peek() == "'":
            self.place += 1
            name += "'"
        if name in ("e", "i"):
            return Constant("e" if name == "e" else "i")
        return Variable(name)

    def command(self, name: str) -> Value:
        if name == "frac":
            top = as_expression(self.argument(one_digit=True))
            bottom = as_expression(self.argument(one_digit=True))
            if bottom == Number(Fraction(0)):
                raise UnreadableError("a division by zero")
            return Product((top, Power(bottom, Number(Fraction(-1)))))
        if name in ("sqrt", "cbrt"):
            return root(self, name)
        if name == "binom":
            return Apply("binomial", (as_expression(self.argument(one_digit=True)),
                                      as_expression(self.argument(one_digit=True))))  # fmt: skip
        if name == "pi":
            return Constant("pi")
        if name == "infty":
            return Constant("infinity")
        if name == "emptyset":
            return Collection("set", ())
        if name.startswith("mathbb"):
            return real_line() if name == "mathbbR" else Variable(name)
        if name == "langle":
            items, _ = self.items()
            self.expect("rangle")
            return Bracketed(tuple(items), "<", ">")
        if name in ("lfloor", "lceil"):
            inner = as_expression(self.sum())
            self.expect("r" + name[1:])
            return Apply("floor" if name == "lfloor" else "ceil", (inner,))
        if name in FUNCTIONS:
            return function(self, name)
        if name == "overline":
            return Apply("overline", (as_expression(self.argument()),))
        if name == "circ":
            return Number(Fraction(1))
        raise UnreadableError(f"the command \\{name[:20]} is not read")
