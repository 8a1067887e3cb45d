"""The grammar of answers: tokens -> a typed value, by recursive descent. Nothing is evaluated here.

Loosest first: list by , ; and or | relation chain | union | sum | product (juxtaposition, mixed numbers) | power,
factorial, subscript | number, letter, function, fraction, root, brackets, matrix. The depth and size limits of
values.py hold while reading. Raises UnreadableError where the grammar ends.
"""

from __future__ import annotations

import re
from fractions import Fraction

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
    is_expression,
)

_RELATIONS = {"=": "=", "<": "<", ">": ">", "le": "<=", "ge": ">=", "ne": "!=", "in": "in", "equiv": "="}
_MATRICES = frozenset({"pmatrix", "bmatrix", "matrix", "vmatrix", "Bmatrix", "smallmatrix", "array"})
_MINUS_ONE = (Number(Fraction(-1)), Product((Number(Fraction(-1)), Number(Fraction(1)))))
_CLOSERS = {"(": ")", "[": "]", "\\{": "\\}", "langle": "rangle"}


class Reader:
    """One pass over the tokens; `depth` counts nesting so that the interpreter's own stack is never the limit."""

    def __init__(self, found: list[Token]) -> None:
        self.found = found
        self.place = 0
        self.depth = 0
        self.bars = 0
        self.in_braces = False

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
        while self.take("cup"):
            parts.append(self.sum())
        if len(parts) == 1 and self.peek() == ":" and not self.in_braces:
            ratio = [self.expression(parts[0])]
            while self.take(":"):
                ratio.append(self.expression(self.sum()))
            return Ratio(tuple(ratio))
        return parts[0] if len(parts) == 1 else UnionOf(tuple(parts))

    # ---- sums and products

    def expression(self, value: Value) -> Expression:
        if not is_expression(value):
            raise UnreadableError("a list, interval or matrix where a number is needed")
        return value  # type: ignore[return-value]

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
            return _matrix_sum(terms)
        return Sum(tuple(self.expression(term) for term in terms))

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
                return _scaled(Number(Fraction(-1)), inner)
            return PlusMinus(self.expression(inner), sign == "mp")
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
                    right = Power(self.expression(right), Number(Fraction(-1)))
                value = _scaled(value, right)
            elif self.starts_factor():
                value = _scaled(value, self.power())
            else:
                return value

    def signed_power(self) -> Value:
        if self.peek() in ("-", "+"):
            negative = self.peek() == "-"
            self.place += 1
            inner = self.power()
            return _scaled(Number(Fraction(-1)), inner) if negative else inner
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
                value = Apply("factorial", (self.expression(value),))
            elif self.peek() == "^":
                self.place += 1
                if self._degree_or_ordinal():
                    continue
                value = Power(self.expression(value), self.exponent())
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
            inner = self.expression(self.argument())
        elif self.peek() in ("-", "+"):
            negative = self.peek() == "-"
            self.place += 1
            inner = self.exponent()
            if negative:
                inner = Product((Number(Fraction(-1)), inner))
        else:
            inner = self.expression(self.atom())
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
            return self.matrix(token.text)
        if token.kind in ("sign", "command"):
            self.deeper()
            value = self.bracket(token.text) if token.kind == "sign" else self.command(token.text)
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
            return Sum((value, self.expression(self.atom())))
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
            name = f"{token.text}_{_label(sub)}"
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
            top = self.expression(self.argument(one_digit=True))
            bottom = self.expression(self.argument(one_digit=True))
            if bottom == Number(Fraction(0)):
                raise UnreadableError("a division by zero")
            return Product((top, Power(bottom, Number(Fraction(-1)))))
        if name in ("sqrt", "cbrt"):
            return self.root(name)
        if name == "binom":
            return Apply("binomial", (self.expression(self.argument(one_digit=True)),
                                      self.expression(self.argument(one_digit=True))))  # fmt: skip
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
            inner = self.expression(self.sum())
            self.expect("r" + name[1:])
            return Apply("floor" if name == "lfloor" else "ceil", (inner,))
        if name in FUNCTIONS:
            return self.function(name)
        if name == "overline":
            return Apply("overline", (self.expression(self.argument()),))
        if name == "circ":
            return Number(Fraction(1))
        raise UnreadableError(f"the command \\{name[:20]} is not read")

    def root(self, name: str) -> Value:
        degree: Expression = Number(Fraction(3 if name == "cbrt" else 2))
        if self.take("["):
            degree = self.expression(self.sum())
            self.expect("]")
        inside = self.expression(self.argument())
        return Power(inside, Power(degree, Number(Fraction(-1))))

    def function(self, name: str) -> Value:
        base: Expression | None = None
        power: Expression | None = None
        while self.peek() in ("_", "^"):
            if self.take("_"):
                base = self.expression(self.argument())
            else:
                self.place += 1
                power = self.exponent()
        if power in _MINUS_ONE and name in ("sin", "cos", "tan"):
            name, power = f"a{name}", None
        start = self.place
        arguments = self.function_arguments()
        if name in ("sin", "cos", "tan", "cot", "sec", "csc"):
            arguments = self.angle(arguments, start)
        if name == "exp":
            value: Expression = Power(Constant("e"), arguments[0])
        elif base is not None:
            value = Apply(name, (arguments[0], base))
        else:
            value = Apply(name, arguments)
        return value if power is None else Power(value, power)

    def angle(self, arguments: tuple[Expression, ...], start: int) -> tuple[Expression, ...]:
        """Degrees inside a sine count: \\sin 30^\\circ is not the sine of 30."""
        marked = any(t.text == "circ" for t in self.found[start : self.place + 3]) and self._degree_follows(start)
        if not marked:
            return arguments
        return tuple(Product((a, Constant("pi"), Number(Fraction(1, 180)))) for a in arguments)

    def _degree_follows(self, start: int) -> bool:
        while self.peek() == "^" and self.peek(1) == "circ":
            self.place += 2
        return any(t.text == "circ" for t in self.found[start : self.place])

    def function_arguments(self) -> tuple[Expression, ...]:
        if self.peek() in ("(", "{"):
            closing = ")" if self.peek() == "(" else "}"
            self.place += 1
            items, _ = self.items()
            self.expect(closing)
            return tuple(self.expression(item) for item in items)
        if self.peek() in ("-",):
            return (self.expression(self.signed_power()),)
        value: Value = self.power()
        while True:  # \\sin 2x, but not \\sin x \\cos x
            token = self.token()
            simple = token is not None and (token.kind == "letter" or token.text in ("pi", "frac", "sqrt"))
            if not simple:
                return (self.expression(value),)
            value = _scaled(value, self.power())

    # ---- brackets and matrices

    def bracket(self, sign: str) -> Value:
        if sign == "{":
            value = self.statement_list("}")
            self.expect("}")
            return value
        if sign == "\\{":
            return self.braces()
        if sign in ("(", "["):
            return self.parentheses(sign)
        if sign == "|":
            self.bars += 1
            inner = self.expression(self.sum())
            self.bars -= 1
            self.expect("|")
            return Apply("abs", (inner,))
        if sign == "<" and any(t.text == ">" for t in self.found[self.place :]):
            items, _ = self.items()
            self.expect(">")
            return Bracketed(tuple(items), "<", ">")
        raise UnreadableError(f"cannot read {sign[:20]!r} here")

    def braces(self) -> Value:
        if self.take("\\}"):
            return Collection("set", ())
        bars, self.bars = self.bars, 1  # the bar of {x | x > 2} is no absolute value, its colon no ratio
        in_braces, self.in_braces = self.in_braces, True
        items, _ = self.items(("and",))
        self.bars, self.in_braces = bars, in_braces
        if self.peek() in ("|", ":") and len(items) == 1:
            self.place += 1
            condition, _ = self.items(("and",))
            self.expect("\\}")
            if len(condition) == 1:
                return Collection("set", (condition[0],))
            if all(isinstance(part, Relation) for part in condition):
                return Collection("set", (Chain(tuple(part for part in condition if isinstance(part, Relation))),))
            raise UnreadableError("a set described by more than relations")
        self.expect("\\}")
        if len(items) == 1 and isinstance(items[0], Ratio):
            raise UnreadableError("a set described by words")
        return Collection("set", tuple(items))

    def parentheses(self, opening: str) -> Value:
        bars, self.bars = self.bars, 0
        items, _ = self.items()
        self.bars = bars
        closing = self.peek()
        if closing not in (")", "]"):
            raise UnreadableError(f"the bracket {opening!r} is not closed")
        self.place += 1
        if len(items) == 1 and closing == _CLOSERS[opening]:
            return items[0]
        return Bracketed(tuple(items), opening, closing)

    def matrix(self, name: str) -> Value:
        if name not in _MATRICES:
            raise UnreadableError(f"the environment {name[:20]} is not read")
        self.deeper()
        rows: list[tuple[Expression, ...]] = []
        row: list[Expression] = []
        while True:
            token = self.token()
            if token is None:
                raise UnreadableError("the matrix is not closed")
            if token.kind == "end":
                self.place += 1
                break
            if self.take("&"):
                continue
            if self.take("\\\\"):
                rows.append(tuple(row))
                row = []
                continue
            row.append(self.expression(self.sum()))
        self.depth -= 1
        if row:
            rows.append(tuple(row))
        if not rows or len({len(r) for r in rows}) != 1:
            raise UnreadableError("the rows of the matrix differ in length")
        if name == "vmatrix":
            raise UnreadableError("a determinant is not read")
        return Matrix(tuple(rows))


def real_line() -> Value:
    minus = Product((Number(Fraction(-1)), Constant("infinity")))
    return Bracketed((minus, Constant("infinity")), "(", ")")


def _label(value: Value) -> str:
    if isinstance(value, Number):
        return str(value.value)
    if isinstance(value, Variable | Constant):
        return value.name
    if isinstance(value, Product):
        return "".join(_label(factor) for factor in value.factors)
    if isinstance(value, Collection):
        return ",".join(_label(item) for item in value.items)
    if isinstance(value, Sum):
        return "+".join(_label(term) for term in value.terms)
    raise UnreadableError("a subscript that is no label")


def _scaled(left: Value, right: Value) -> Value:
    """left times right; a number times a matrix is elementwise."""
    if isinstance(left, Matrix) != isinstance(right, Matrix):
        matrix, factor = (left, right) if isinstance(left, Matrix) else (right, left)
        assert isinstance(matrix, Matrix)
        if not is_expression(factor):
            raise UnreadableError("a product of a matrix and a list")
        return Matrix(tuple(tuple(Product((factor, cell)) for cell in row) for row in matrix.rows))  # type: ignore[arg-type]
    if isinstance(right, Ratio) and left == Number(Fraction(-1)):
        raise UnreadableError("a negative ratio")
    if isinstance(left, Number) and left.value == -1 and isinstance(right, Number):
        return Number(-right.value)
    if isinstance(right, Based) and left == Number(Fraction(-1)):
        return Based("-" + right.digits, right.base)
    if not (is_expression(left) and is_expression(right)):
        raise UnreadableError("a product with a list or interval")
    left_factors = left.factors if isinstance(left, Product) else (left,)
    return Product((*left_factors, right))  # type: ignore[arg-type]


def _matrix_sum(terms: list[Value]) -> Value:
    matrices = [term for term in terms if isinstance(term, Matrix)]
    shapes = {(len(m.rows), len(m.rows[0])) for m in matrices}
    if len(matrices) != len(terms) or len(shapes) != 1:
        raise UnreadableError("a sum of matrices of different shapes")
    ((height, width),) = shapes
    return Matrix(tuple(tuple(Sum(tuple(m.rows[r][c] for m in matrices)) for c in range(width)) for r in range(height)))
