"""The child's half of symbolic.py: trees as nested lists -> "equal", "different" or "undecided". Only here: sympy.

Never imported by the parent. sympy is imported at the top so that its import is not counted against a call's time.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import sympy  # type: ignore[import-untyped]

from tasks.math.numeric import POINTS, variable_value

_DIGITS = 50
CPU_S = 0.8


class OutOfTimeError(BaseException):
    """The call's processor time is used up. Not an Exception, so that no handler inside sympy keeps it."""


def answer(payload: Any) -> list[str]:
    """The child's reply to {"left": tree, "right": tree}. Limited in processor time, so that a busy machine decides alike."""
    signal.signal(signal.SIGPROF, _out_of_time)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        return _verdict(payload)
    except OutOfTimeError:
        return ["undecided", f"sympy took more than {CPU_S} s"]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise OutOfTimeError


def _verdict(payload: Any) -> list[str]:
    met = 0
    for point in POINTS:
        left, right = (_built(payload[side], point) for side in ("left", "right"))
        x, y = sympy.N(left, _DIGITS), sympy.N(right, _DIGITS)
        if not (x.is_number and y.is_number and x.is_finite and y.is_finite):
            continue
        gap = abs(complex(sympy.N(x - y, 20)))
        if gap > 1e-25 * max(1.0, abs(complex(x)), abs(complex(y))):
            return ["different", "values differ in 50 digits"]
        met += 1
        if not _has_variables(payload["left"]) and not _has_variables(payload["right"]):
            break
    return ["equal", "values agree in 50 digits"] if met else ["undecided", "no value to compare"]


def _has_variables(tree: Any) -> bool:
    return tree[0] == "variable" or any(_has_variables(part) for part in tree[1:] if isinstance(part, list))


def _built(tree: Any, point: float) -> Any:
    kind, *rest = tree
    if kind == "number":
        return sympy.Rational(int(rest[0]), int(rest[1]))
    if kind == "variable":
        return sympy.Rational(*variable_value(rest[0], point).as_integer_ratio())
    if kind == "constant":
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "infinity": sympy.oo}[rest[0]]
    if kind == "sum":
        return sympy.Add(*(_built(part, point) for part in rest), evaluate=False)
    if kind == "product":
        return sympy.Mul(*(_built(part, point) for part in rest), evaluate=False)
    if kind == "power":
        base, exponent = _built(rest[0], point), _built(rest[1], point)
        if base.is_negative and exponent.is_Rational and exponent.q % 2 and exponent.q > 1:
            return (-1) ** exponent.p * sympy.Pow(-base, exponent, evaluate=False)
        return sympy.Pow(base, exponent, evaluate=False)
    if kind == "apply":
        return _applied(rest[0], [_built(part, point) for part in rest[1:]])
    raise ValueError(f"no value for {kind}")


def _applied(name: str, arguments: list[Any]) -> Any:
    if name == "log":
        return sympy.log(arguments[0]) / sympy.log(arguments[1] if len(arguments) > 1 else 10)
    functions = {
        "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "cot": sympy.cot, "sec": sympy.sec, "csc": sympy.csc,
        "asin": sympy.asin, "acos": sympy.acos, "atan": sympy.atan, "sinh": sympy.sinh, "cosh": sympy.cosh,
        "tanh": sympy.tanh, "ln": sympy.log, "abs": sympy.Abs, "floor": sympy.floor, "ceil": sympy.ceiling,
        "factorial": sympy.gamma, "binomial": sympy.binomial, "max": sympy.Max, "min": sympy.Min,
    }  # fmt: skip
    if name == "factorial":
        return sympy.gamma(arguments[0] + 1)
    return functions[name](*arguments)


answer({"left": ["constant", "pi"], "right": ["constant", "e"]})  # the first evaluation loads more of sympy
