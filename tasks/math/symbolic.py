"""Are two trees the same number or function? The last resort, in a child process that is killed on time or memory.

Goes in: two expression trees as nested JSON lists, built by `equal.py` from our own reader. Comes out: "equal" or
"different" or "undecided". sympy is given objects made node by node, never text: nothing a model wrote is parsed by
it. The decision is by value: both trees to 50 digits at several points. Two short formulas that agree to 50 digits
everywhere are called equal.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from harness.sandbox import Killed, RemoteError, Worker
from tasks.math.values import Apply, Constant, Expression, Number, PlusMinus, Power, Product, Sum, Variable

TIMEOUT_S = 8.0  # of the clock, for a machine with other work; the child ends itself after 0.8 s of processor time
MEMORY_BYTES = 2 << 30
_workers: dict[int, Worker] = {}
_lock = threading.Lock()


def decide(left: Expression, right: Expression) -> tuple[str, str]:
    """("equal" | "different" | "undecided", reason). Safe from threads, forked processes and event loops."""
    try:
        payload = {"left": to_json(left), "right": to_json(right)}
    except RecursionError:
        return "undecided", "nested too deeply"
    try:
        verdict = _worker().call(payload, TIMEOUT_S)
    except Killed as killed:
        return "undecided", f"sympy was stopped: {killed.reason}"
    except RemoteError as error:
        return "undecided", f"sympy could not say: {str(error)[:80]}"
    return str(verdict[0]), str(verdict[1])


def _worker() -> Worker:
    """This process's worker: a forked child must not speak through its parent's pipes."""
    with _lock:
        if os.getpid() not in _workers:
            _workers[os.getpid()] = Worker("tasks.math.sympy_child:answer", memory_bytes=MEMORY_BYTES)
        return _workers[os.getpid()]


def _renew_lock() -> None:
    """The lock may have been held in another thread at the moment of the fork."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def start() -> None:
    """Start the worker now, so that a first hard pair need not wait for sympy's import."""
    _worker().start()


def to_json(node: Expression) -> list[Any]:
    """The tree as nested lists of names and decimal integers."""
    if isinstance(node, Number):
        return ["number", str(node.value.numerator), str(node.value.denominator)]
    if isinstance(node, Variable):
        return ["variable", node.name]
    if isinstance(node, Constant):
        return ["constant", node.name]
    if isinstance(node, Sum):
        return ["sum", *map(to_json, node.terms)]
    if isinstance(node, Product):
        return ["product", *map(to_json, node.factors)]
    if isinstance(node, Power):
        return ["power", to_json(node.base), to_json(node.exponent)]
    if isinstance(node, Apply):
        return ["apply", node.name, *map(to_json, node.arguments)]
    assert isinstance(node, PlusMinus)
    return ["plus_minus", to_json(node.operand)]
