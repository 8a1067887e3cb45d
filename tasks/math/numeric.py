"""A tree's value at a point, in double precision: the fast way to see that two formulas differ. Never proves equality.

`Sample.scale` is the largest size met on the way, so that a difference is believed only when it stands far above what
rounding could have made. A root of a negative number that holds a variable has no value here: such points say nothing.
"""

from __future__ import annotations

import cmath
import math
import zlib
from dataclasses import dataclass

from tasks.math.values import Apply, Constant, Expression, Number, PlusMinus, Power, Product, Sum, Variable

POINTS = (0.7364, 1.6180, 2.3571, -1.2237)  # arbitrary; one negative, to tell |x| from x
_FUNCTIONS = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "asin": cmath.asin, "acos": cmath.acos, "atan": cmath.atan,
    "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh, "ln": cmath.log,
}  # fmt: skip


class NoValueError(Exception):
    """The formula has no value here, or not one that a double can hold."""


@dataclass
class Sample:
    """Evaluation at one point."""

    point: float
    scale: float = 1.0
    has_variables: bool = False

    def at(self, node: Expression) -> complex:
        value = self._at(node)
        if cmath.isnan(value) or cmath.isinf(value):
            raise NoValueError("not finite")
        self.scale = max(self.scale, abs(value))
        return value

    def _at(self, node: Expression) -> complex:
        try:
            if isinstance(node, Number):
                return complex(float(node.value))
            if isinstance(node, Variable):
                self.has_variables = True
                return complex(variable_value(node.name, self.point))
            if isinstance(node, Constant):
                if node.name == "infinity":
                    raise NoValueError("infinity")
                return {"pi": complex(math.pi), "e": complex(math.e), "i": 1j}[node.name]
            if isinstance(node, Sum):
                return sum((self.at(term) for term in node.terms), 0j)
            if isinstance(node, Product):
                product = 1 + 0j
                for factor in node.factors:
                    product *= self.at(factor)
                return product
            if isinstance(node, Power):
                return self._power(node)
            if isinstance(node, Apply):
                return self._apply(node)
        except (OverflowError, ZeroDivisionError, ValueError) as error:
            raise NoValueError(str(error)) from None
        assert isinstance(node, PlusMinus)
        raise NoValueError("a plus-minus sign")

    def _power(self, node: Power) -> complex:
        base, exponent = self.at(node.base), self.at(node.exponent)
        if base.imag == 0 and base.real < 0 and exponent.imag == 0 and exponent.real != int(exponent.real):
            inverse = 1 / exponent.real
            if abs(inverse - round(inverse)) < 1e-12 and round(inverse) % 2:
                return complex(-((-base.real) ** exponent.real))  # the real odd root
            if self.has_variables:
                raise NoValueError("a root of a negative number")
        return base**exponent

    def _apply(self, node: Apply) -> complex:
        values = [self.at(argument) for argument in node.arguments]
        if node.name in _FUNCTIONS and len(values) == 1:
            return _FUNCTIONS[node.name](values[0])
        if node.name == "log":
            return cmath.log(values[0]) / (cmath.log(values[1]) if len(values) > 1 else math.log(10))
        if node.name in ("cot", "sec", "csc"):
            return 1 / {"cot": cmath.tan, "sec": cmath.cos, "csc": cmath.sin}[node.name](values[0])
        if node.name == "abs":
            return complex(abs(values[0]))
        if any(value.imag for value in values):
            raise NoValueError(f"{node.name} of a complex number")
        real = [value.real for value in values]
        if node.name == "floor":
            return complex(math.floor(real[0]))
        if node.name == "ceil":
            return complex(math.ceil(real[0]))
        if node.name == "factorial":
            return complex(math.gamma(real[0] + 1))
        if node.name == "binomial":
            n, k = real
            return complex(math.gamma(n + 1) / (math.gamma(k + 1) * math.gamma(n - k + 1)))
        if node.name in ("max", "min"):
            return complex(max(real) if node.name == "max" else min(real))
        raise NoValueError(f"{node.name} has no value here")


def variable_value(name: str, point: float) -> float:
    """A value for a variable at a sample point: different for different names, the same every time."""
    return point * (1 + zlib.crc32(name.encode("utf-8", "surrogatepass")) / 2**32)


def differ(left: Expression, right: Expression) -> bool | None:
    """True when the two surely differ at some point, False when all points met agree, None when none had a value."""
    met = False
    for point in POINTS:
        a, b = Sample(point), Sample(point)
        try:
            x, y = a.at(left), b.at(right)
        except (NoValueError, RecursionError):
            continue
        scale = max(a.scale, b.scale)
        if abs(x - y) > 1e-6 * max(abs(x), abs(y), 1e-9 * scale, 1e-300) and abs(x - y) > 1e-11 * scale:
            return True
        met = True
    return False if met else None


def is_huge(node: Expression) -> bool:
    """True for a power or factorial surely above 10^300, seen without computing it."""
    if isinstance(node, Number):
        return node.value > 10**300
    if isinstance(node, Power):
        base = real_value(node.base)
        exponent = real_value(node.exponent)
        grows = is_huge(node.exponent) or (exponent is not None and exponent >= 1100)
        return (is_huge(node.base) and grows) or (base is not None and base >= 2 and grows)
    if isinstance(node, Apply) and node.name == "factorial":
        argument = real_value(node.arguments[0])
        return is_huge(node.arguments[0]) or (argument is not None and argument > 180)
    return False


def real_value(node: Expression) -> float | None:
    """The value of a formula without variables as a real number, or None."""
    sample = Sample(POINTS[0])
    try:
        value = sample.at(node)
    except (NoValueError, RecursionError):
        return None
    return value.real if abs(value.imag) < 1e-9 and not sample.has_variables else None
