"""Exact arithmetic on expression trees: is `left - right` zero, certainly not zero, or beyond this normal form?

A tree becomes a fraction of two polynomials with rational coefficients whose unknowns are "atoms": variables, pi, e,
i, roots of primes, and anything else (a sine, a nested root) as a named atom of its own canonical text. Roots of
distinct primes are linearly independent over the rationals (Besicovitch 1940), so without atoms of the last kind a
nonzero difference is a proof of inequality; pi and e are taken as algebraically independent, which is assumed
everywhere and proved nowhere.

Every operation draws on a budget of term products, and integers on a budget of bits, so no input makes it slow: beyond
either, `TooLargeError` is raised and the caller says "undecided". Logarithms of rationals split into logarithms of
primes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from tasks.math.values import (
    Apply,
    Constant,
    Expression,
    Number,
    PlusMinus,
    Power,
    Product,
    Sum,
    Variable,
)

MAX_BITS = 8192
MAX_TERM_PRODUCTS = 60_000
MAX_TERMS = 3_000
MAX_EXPANSION_POWER = 64
MAX_FACTORIAL = 300
_TRIAL_DIVISION_LIMIT = 20_000
Monomial = tuple[tuple[str, Fraction], ...]
Polynomial = dict[Monomial, Fraction]
_ONE: Polynomial = {(): Fraction(1)}


class TooLargeError(Exception):
    """The exact form is larger than the budget."""


class UndefinedError(Exception):
    """A division by zero or another expression without a value."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """numerator / denominator, not reduced."""

    numerator: Polynomial
    denominator: Polynomial


@dataclass
class Algebra:
    """One comparison's arithmetic: its budget, and the polynomials behind its root atoms."""

    products_left: int = MAX_TERM_PRODUCTS
    roots: dict[str, Polynomial] = field(default_factory=dict)

    # ---- polynomials

    def add(self, left: Polynomial, right: Polynomial, factor: int = 1) -> Polynomial:
        self._spend(len(right))
        total = dict(left)
        for monomial, coefficient in right.items():
            value = total.get(monomial, Fraction(0)) + factor * coefficient
            if value:
                total[monomial] = self._checked(value)
            else:
                total.pop(monomial, None)
        return total

    def multiply(self, left: Polynomial, right: Polynomial) -> Polynomial:
        if right == _ONE:
            return left
        if left == _ONE:
            return right
        self._spend(len(left) * len(right))
        total: Polynomial = {}
        for a, x in left.items():
            for b, y in right.items():
                for monomial, scale in self._join(a, b).items():
                    value = total.get(monomial, Fraction(0)) + x * y * scale
                    if value:
                        total[monomial] = self._checked(value)
                    else:
                        total.pop(monomial, None)
        if len(total) > MAX_TERMS:
            raise TooLargeError(f"{len(total)} terms")
        return total

    def _join(self, left: Monomial, right: Monomial) -> Polynomial:
        """The product of two monomials, with i^2 = -1 and whole powers of roots multiplied out."""
        powers = dict(left)
        for atom, exponent in right:
            powers[atom] = powers.get(atom, Fraction(0)) + exponent
        return self._settled(powers)

    def _settled(self, powers: dict[str, Fraction]) -> Polynomial:
        coefficient, expand, kept = Fraction(1), _ONE, []
        for atom in sorted(powers):
            exponent = powers[atom]
            if atom == "i":
                turns = int(exponent) % 4
                coefficient *= -1 if turns in (2, 3) else 1
                exponent = Fraction(turns % 2)
            elif atom.startswith("p:"):
                whole = math.floor(exponent)
                coefficient *= self._integer_power(Fraction(int(atom[2:])), whole)
                exponent -= whole
            elif atom in self.roots and exponent >= 1:
                whole = math.floor(exponent)
                if whole > MAX_EXPANSION_POWER:
                    raise TooLargeError("a power of a root")
                for _ in range(whole):
                    expand = self.multiply(expand, self.roots[atom])
                exponent -= whole
            if exponent:
                kept.append((atom, exponent))
        base: Polynomial = {tuple(kept): coefficient}
        return base if expand == _ONE else self.multiply(base, expand)

    def _spend(self, products: int) -> None:
        self.products_left -= products
        if self.products_left < 0:
            raise TooLargeError("too many term products")

    def _checked(self, value: Fraction) -> Fraction:
        if value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
            raise TooLargeError("a number of too many digits")
        return value

    def _integer_power(self, base: Fraction, exponent: int) -> Fraction:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits * abs(exponent) > MAX_BITS:
            raise TooLargeError("a power of too many digits")
        if base == 0 and exponent < 0:
            raise UndefinedError("zero to a negative power")
        return base**exponent

    # ---- trees

    def ratio(self, node: Expression) -> Ratio:
        """The tree as a quotient of polynomials."""
        if isinstance(node, Number):
            return Ratio({(): node.value} if node.value else {}, _ONE)
        if isinstance(node, Variable):
            return _atom(f"v:{node.name}")
        if isinstance(node, Constant):
            return _atom(node.name if node.name == "i" else f"c:{node.name}")
        if isinstance(node, Sum):
            total = Ratio({}, _ONE)
            for term in node.terms:
                total = self.plus(total, self.ratio(term))
            return total
        if isinstance(node, Product):
            product = Ratio(_ONE, _ONE)
            for factor in node.factors:
                product = self.times(product, self.ratio(factor))
            return product
        if isinstance(node, Power):
            return self.power(node)
        if isinstance(node, Apply):
            return self.apply(node)
        assert isinstance(node, PlusMinus)
        raise TooLargeError("a plus-minus sign inside a formula")

    def plus(self, left: Ratio, right: Ratio, factor: int = 1) -> Ratio:
        if left.denominator == right.denominator:
            return Ratio(self.add(left.numerator, right.numerator, factor), left.denominator)
        return Ratio(
            self.add(
                self.multiply(left.numerator, right.denominator),
                self.multiply(right.numerator, left.denominator),
                factor,
            ),
            self.multiply(left.denominator, right.denominator),
        )

    def times(self, left: Ratio, right: Ratio) -> Ratio:
        return Ratio(self.multiply(left.numerator, right.numerator), self.multiply(left.denominator, right.denominator))

    def power(self, node: Power) -> Ratio:
        base, exponent = self.ratio(node.base), self.ratio(node.exponent)
        number = _rational(exponent)
        if number is None:
            return self._symbolic_power(node.base, base, exponent)
        if number.denominator == 1:
            return self.whole_power(base, int(number))
        return self.root_power(base, number)

    def whole_power(self, base: Ratio, exponent: int) -> Ratio:
        if exponent < 0:
            if not base.numerator:
                raise UndefinedError("a division by zero")
            base, exponent = Ratio(base.denominator, base.numerator), -exponent
        return Ratio(self._raised(base.numerator, exponent), self._raised(base.denominator, exponent))

    def _raised(self, polynomial: Polynomial, exponent: int) -> Polynomial:
        if len(polynomial) == 1:
            ((monomial, coefficient),) = polynomial.items()
            if exponent > 10**6:
                raise TooLargeError("an exponent")
            scaled = self._settled({atom: power * exponent for atom, power in monomial})
            return self.multiply({(): self._integer_power(coefficient, exponent)}, scaled)
        if not polynomial:
            return {} if exponent else _ONE
        if exponent > MAX_EXPANSION_POWER:
            raise TooLargeError("a high power of a sum")
        result = _ONE
        for _ in range(exponent):
            result = self.multiply(result, polynomial)
        return result

    def root_power(self, base: Ratio, exponent: Fraction) -> Ratio:
        """base ** (p/q); the odd root of a negative number is the real one."""
        top, bottom = self._root_of(base.numerator, exponent), self._root_of(base.denominator, exponent)
        if not bottom.numerator:
            raise UndefinedError("a division by zero")
        return self.times(top, Ratio(bottom.denominator, bottom.numerator))

    def _root_of(self, polynomial: Polynomial, exponent: Fraction) -> Ratio:
        if polynomial == _ONE:
            return Ratio(_ONE, _ONE)
        if not polynomial:
            if exponent < 0:
                raise UndefinedError("a division by zero")
            return Ratio({}, _ONE)
        content = _content(polynomial)
        rest = {monomial: value / content for monomial, value in polynomial.items()}
        result = self._number_root(content, exponent)
        if len(rest) == 1:
            ((monomial, sign),) = rest.items()
            if sign == 1 and all(self._splits(atom, power, exponent) for atom, power in monomial):
                powers = {atom: power * exponent for atom, power in monomial}
                return self.times(result, self._signed(powers))
            if sign == -1 and not monomial:
                if exponent.denominator % 2 == 1:
                    return self.times(result, Ratio({(): Fraction(-1) ** exponent.numerator}, _ONE))
                if exponent.denominator == 2:
                    return self.times(result, self.whole_power(_atom("i"), exponent.numerator))
        text = f"r:{canonical(rest)}"
        self.roots[text] = rest
        return self.times(result, self._signed({text: exponent}))

    def _splits(self, atom: str, power: Fraction, exponent: Fraction) -> bool:
        """May (atom^power)^exponent be written atom^(power*exponent)? Not for the square root of x squared."""
        if atom.startswith("v:"):
            return not (power.denominator == 1 and power % 2 == 0 and exponent.denominator % 2 == 0)
        return atom in ("c:pi", "c:e") or atom.startswith(("p:", "pw:"))

    def _signed(self, powers: dict[str, Fraction]) -> Ratio:
        above = {atom: power for atom, power in powers.items() if power >= 0 or atom.startswith("p:")}
        below = {atom: -power for atom, power in powers.items() if atom not in above}
        return Ratio(self._settled(above), self._settled(below))

    def _number_root(self, value: Fraction, exponent: Fraction) -> Ratio:
        powers: dict[str, Fraction] = {}
        for number, sign in ((value.numerator, 1), (value.denominator, -1)):
            for prime, count in factors(number).items():
                powers[f"p:{prime}"] = powers.get(f"p:{prime}", Fraction(0)) + sign * count * exponent
        return Ratio(self._settled(powers), _ONE)

    def _symbolic_power(self, base_node: Expression, base: Ratio, exponent: Ratio) -> Ratio:
        """b^(sum of terms) as a product of b^term, so that 2^(n+1) is 2 * 2^n and 4^n is 2^(2n)."""
        if exponent.denominator != _ONE and not (len(exponent.denominator) == 1 and () in exponent.denominator):
            return _atom(f"f:power({canonical_ratio(base)},{canonical_ratio(exponent)})")
        scale = exponent.denominator[()]
        number = _rational(base)
        bases: dict[str, Fraction] = {}
        if number is not None and number > 0:
            for part, sign in ((number.numerator, 1), (number.denominator, -1)):
                for prime, count in factors(part).items():
                    bases[f"p:{prime}"] = bases.get(f"p:{prime}", Fraction(0)) + sign * count
        elif isinstance(base_node, Variable | Constant):
            bases[base_node.name] = Fraction(1)
        else:
            bases[canonical_ratio(base)] = Fraction(1)
        result = Ratio(_ONE, _ONE)
        for monomial, coefficient in exponent.numerator.items():
            power = coefficient / scale
            if monomial == ():
                result = self.times(result, self.power(Power(base_node, Number(power))))
                continue
            powers = {f"pw:{name}:{canonical({monomial: Fraction(1)})}": power * count for name, count in bases.items()}
            result = self.times(result, self._signed(powers))
        return result

    # ---- functions

    def apply(self, node: Apply) -> Ratio:
        arguments = [self.ratio(argument) for argument in node.arguments]
        numbers = [_rational(argument) for argument in arguments]
        first = numbers[0]
        if first is not None and len(numbers) == 1:
            exact = _exact_value(node.name, first)
            if exact is not None:
                return Ratio({(): self._checked(exact)} if exact else {}, _ONE)
        if node.name == "binomial" and all(n is not None and n.denominator == 1 and 0 <= n <= 2000 for n in numbers):
            return Ratio({(): self._checked(Fraction(math.comb(int(numbers[0] or 0), int(numbers[1] or 0))))}, _ONE)
        if node.name in ("ln", "log"):
            return self.logarithm(node, arguments)
        name = {"max": "max", "min": "min"}.get(node.name, node.name)
        return _atom(f"f:{name}({','.join(canonical_ratio(argument) for argument in arguments)})")

    def logarithm(self, node: Apply, arguments: list[Ratio]) -> Ratio:
        top = self._natural_log(arguments[0])
        if node.name == "ln":
            return top
        base = arguments[1] if len(arguments) > 1 else Ratio({(): Fraction(10)}, _ONE)
        bottom = self._natural_log(base)
        if not bottom.numerator:
            raise UndefinedError("a logarithm to the base 1")
        return self.times(top, Ratio(bottom.denominator, bottom.numerator))

    def _natural_log(self, argument: Ratio) -> Ratio:
        number = _rational(argument)
        if number is not None and number <= 0:
            raise UndefinedError("a logarithm of a number that is not positive")
        if number is not None:
            total: Polynomial = {}
            for part, sign in ((number.numerator, 1), (number.denominator, -1)):
                for prime, count in factors(part).items():
                    total = self.add(total, {((f"l:{prime}", Fraction(1)),): Fraction(count * sign)})
            return Ratio(total, _ONE)
        if argument == _atom("c:e"):
            return Ratio(_ONE, _ONE)
        return _atom(f"f:ln({canonical_ratio(argument)})")


def _exact_value(name: str, number: Fraction) -> Fraction | None:
    if name == "abs":
        return abs(number)
    if name == "floor":
        return Fraction(math.floor(number))
    if name == "ceil":
        return Fraction(math.ceil(number))
    if name == "factorial" and number.denominator == 1 and 0 <= number <= MAX_FACTORIAL:
        return Fraction(math.factorial(int(number)))
    return None


def _atom(name: str) -> Ratio:
    return Ratio({((name, Fraction(1)),): Fraction(1)}, _ONE)


def _rational(value: Ratio) -> Fraction | None:
    """The rational number that `value` is, or None."""
    if not value.numerator:
        return Fraction(0)
    if set(value.numerator) == {()} and set(value.denominator) == {()}:
        return value.numerator[()] / value.denominator[()]
    return None


def _content(polynomial: Polynomial) -> Fraction:
    """The positive rational that makes the coefficients coprime integers."""
    numerators = math.gcd(*(value.numerator for value in polynomial.values()))
    denominators = math.lcm(*(value.denominator for value in polynomial.values()))
    return Fraction(numerators, denominators)


def factors(number: int) -> dict[int, int]:
    """The prime factors of a positive integer. Raises TooLargeError when trial division does not finish it."""
    found: dict[int, int] = {}
    divisor = 2
    while divisor * divisor <= number and divisor < _TRIAL_DIVISION_LIMIT:
        while number % divisor == 0:
            found[divisor] = found.get(divisor, 0) + 1
            number //= divisor
        divisor += 1 if divisor == 2 else 2
    if number > 1:
        if number >= _TRIAL_DIVISION_LIMIT**2:
            raise TooLargeError("a factor too large to split")
        found[number] = found.get(number, 0) + 1
    return found


def canonical(polynomial: Polynomial) -> str:
    """One text for one polynomial."""
    parts = sorted(
        f"{value}*{'*'.join(f'{atom}^{power}' for atom, power in monomial)}" for monomial, value in polynomial.items()
    )
    text = "+".join(parts)
    if len(text) > 20_000:
        raise TooLargeError("a formula inside a function")
    return text


def canonical_ratio(value: Ratio) -> str:
    """One text for a quotient, after dividing by its rational content (it is not reduced further)."""
    if set(value.denominator) == {()}:
        scale = value.denominator[()]
        return canonical({monomial: number / scale for monomial, number in value.numerator.items()})
    return f"({canonical(value.numerator)})/({canonical(value.denominator)})"


def atoms(polynomial: Polynomial) -> set[str]:
    """The atoms that occur in a polynomial."""
    return {atom for monomial in polynomial for atom, _ in monomial}


def is_independent(names: set[str]) -> bool:
    """True when no identity can hold between these atoms, so that a nonzero polynomial in them is not zero."""
    return all(name.startswith(("v:", "p:")) or name in ("i", "c:pi", "c:e", "c:infinity") for name in names)
