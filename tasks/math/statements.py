"""Relations as the values they state: "x = 5" states 5, "f(3) = 7" states 7, "x > 1 and x <= 5" states one interval.

Goes in: a value with relations. Comes out: the value stated, or None. What a prediction may state is wider than what a
gold may: a gold equation such as x + y = 5 is itself the answer, while a prediction's "x + y = 5" states the value 5.
"""

from __future__ import annotations

from fractions import Fraction

from tasks.math.algebra import Algebra, TooLargeError, UndefinedError
from tasks.math.numeric import real_value
from tasks.math.regions import side_gap, solved_region
from tasks.math.signs import letters, parts_of
from tasks.math.values import (
    Apply,
    Bracketed,
    Chain,
    Collection,
    Number,
    Power,
    Product,
    Relation,
    Value,
    Variable,
    is_expression,
)

_FUNCTION_NAMES = "fghpqPFGHQ"
_MINUS_ONE = (Number(Fraction(-1)), Product((Number(Fraction(-1)), Number(Fraction(1)))))


def simplified(value: Value) -> Value:
    """x in S is S; a = b = c is a = c; (x, y) = (1, 2) is (1, 2); 16 - 3 - 4 = 9 is 9."""
    if isinstance(value, Relation) and value.op == "in":
        return value.right
    if isinstance(value, Chain) and all(relation.op == "=" for relation in value.relations):
        value = Relation("=", value.relations[0].left, value.relations[-1].right)
    if isinstance(value, Relation) and value.op == "=":
        if isinstance(value.left, Bracketed) and all(isinstance(item, Variable) for item in value.left.items):
            return value.right
        numbers = is_expression(value.left) and is_expression(value.right)
        if numbers and not letters(value.left) and not letters(value.right):
            return value.right
    return value


def assigned_value(value: Relation | Chain) -> Value | None:
    """The right side of x = ..., f(x) = ... or of (anything that is no number) = a list or set."""
    if not isinstance(value, Relation) or value.op != "=":
        return None
    for left, right in ((value.left, value.right), (value.right, value.left)):
        name = lone_name(left)
        if name is not None and name not in letters(right):
            return right
    if is_expression(value.left) and not is_expression(value.right):
        return value.right
    return None


def stated_value(value: Relation | Chain) -> Value | None:
    """What an equation of a prediction says when gold is none: an assignment, a solved letter, a named quantity."""
    right = assigned_value(value)
    if right is not None or not isinstance(value, Relation) or value.op != "=":
        return right
    if not (is_expression(value.left) and is_expression(value.right)):
        return None
    if _is_identity(value):
        return value.right  # (x+1)^2 = x^2 + 2x + 1
    if letters(value.right):
        return None
    if value.right == Number(Fraction(0)) and _has_numbers(value.left) and not _is_applied(value.left):
        return None  # 5x - 7y + 4 = 0 is an equation
    if _is_applied(value.left) or len(letters(value.left)) > 1:
        return value.right  # f(3) = 7, AB = 7, x + y = 7
    return _solution(value)


def lone_name(value: Value) -> str | None:
    """The name that stands alone on a side of an equation: x, f of f(x), | of |z|."""
    if isinstance(value, Variable):
        return value.name
    if _is_applied(value) and isinstance(value, Product) and isinstance(value.factors[1], Variable):
        name = value.factors[0].base if isinstance(value.factors[0], Power) else value.factors[0]
        return name.name if isinstance(name, Variable) and name.name[0] in _FUNCTION_NAMES else None
    if isinstance(value, Apply) and value.name == "abs":
        return "|"
    return None


def is_graph(value: Relation) -> bool:
    """True for y = ... and f(x) = ...: two ways to name one function."""
    return value.op == "=" and (
        value.left == Variable("y") or (lone_name(value.left) is not None and _is_applied(value.left))
    )


def conjunction(value: Collection) -> Chain | None:
    """Inequalities in one letter that hold together, as in "x > 1 and x <= 5"; None when they exclude each other."""
    if value.joined_by_or or value.kind == "set":
        return None
    relations: list[Relation] = []
    for item in value.items:
        if not isinstance(item, Relation | Chain):
            return None
        relations += item.relations if isinstance(item, Chain) else (item,)
    if any(relation.op not in ("<", "<=", ">", ">=") for relation in relations):
        return None
    chain = Chain(tuple(relations))
    region = solved_region(chain)
    if not isinstance(region, Bracketed):
        return None
    ends = [real_value(end) for end in region.items if is_expression(end)]  # type: ignore[arg-type]
    if len(ends) == 2 and ends[0] is not None and ends[1] is not None and ends[0] < ends[1]:
        return chain
    return None


def _is_applied(value: Value) -> bool:
    """f(x), f(3), f^{-1}(x): a letter before something in brackets reads as a product of two."""
    if not (isinstance(value, Product) and len(value.factors) == 2):
        return False
    name, argument = value.factors
    if isinstance(name, Power) and isinstance(name.base, Variable) and name.exponent in _MINUS_ONE:
        name = name.base if name.base.name in _FUNCTION_NAMES else name
    return isinstance(name, Variable) and isinstance(argument, Variable | Number)


def _has_numbers(value: Value) -> bool:
    number = isinstance(value, Number) and abs(value.value) != 1
    return number or any(_has_numbers(part) for part in parts_of(value))


def _is_identity(value: Relation) -> bool:
    algebra = Algebra()
    try:
        return bool(letters(value.left)) and not side_gap(algebra, value)
    except (TooLargeError, UndefinedError, RecursionError):
        return False


def _solution(value: Relation) -> Value | None:
    """The number that a linear equation in one letter gives it: 2x = 10 states 5."""
    try:
        gap = side_gap(Algebra(), value)
    except (TooLargeError, UndefinedError, RecursionError):
        return None
    linear = {monomial: slope for monomial, slope in gap.items() if monomial}
    if len(linear) != 1:
        return None
    ((monomial, slope),) = linear.items()
    if len(monomial) != 1 or monomial[0][1] != 1 or not monomial[0][0].startswith("v:"):
        return None
    return Number(-gap.get((), Fraction(0)) / slope)
