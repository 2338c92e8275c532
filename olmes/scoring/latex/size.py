"""Whether a sympy expression can be evaluated without filling the memory.

`9^{9^{9^9}}` is harmless as a tree and fatal as a number; sympy has no limit of its own. The
reference runs into its 5 s there (or into the machine's memory) and counts the answer as not equal.
"""

from __future__ import annotations

import math
from typing import Any

MOST_BITS = 30_000.0
"""Of any number in the expression. `simplify` may ask whether such a number is prime, which takes
a second at this size. MATH has 3^{2007} (3,182 bits) and 1/2004! (19,000)."""
MOST_POWER_OF_SUM = 200.0
"""Largest exponent of a sum with letters, which `simplify` may expand."""


def moderate(expression: Any) -> bool:
    """Whether every number that evaluation can reach stays below `MOST_BITS` bits."""
    return bits(expression) <= MOST_BITS


def bits(node: Any) -> float:
    """A rough upper bound on the bits of what `node` evaluates to; letters count as 1.

    Infinite where it passes `MOST_BITS` anywhere inside. Exponents are evaluated to a few digits,
    which is safe once their own parts are known to be moderate.
    """
    import sympy

    if isinstance(node, sympy.Rational):
        return math.log2(max(2, abs(node.p), node.q))
    if not isinstance(node, sympy.Basic):
        raise TypeError(f"sympy cannot subtract a {type(node).__name__}")
    inside = [bits(argument) for argument in node.args]
    if any(size > MOST_BITS for size in inside):
        return math.inf
    if isinstance(node, sympy.Pow):
        return power_bits(node, inside[0])
    if isinstance(node, sympy.factorial):
        return magnitude(node.args[0]) * max(1.0, inside[0])
    if isinstance(node, sympy.binomial):
        return magnitude(node.args[1]) * max(1.0, inside[0])
    return max(1.0, sum(inside))


def power_bits(node: Any, base: float) -> float:
    """The bound of `bits` for a power, from the bound of its base."""
    import sympy

    times = magnitude(node.exp)
    if isinstance(node.base, sympy.Symbol) or node.base in (0, 1, -1):
        return 1.0
    if node.base.free_symbols and times > MOST_POWER_OF_SUM:
        return math.inf
    return max(1.0, base) * max(1.0, times)


def magnitude(exponent: Any) -> float:
    """The absolute value of a number, roughly; 1 for what has letters in it."""
    if exponent.free_symbols:
        return 1.0
    try:
        value = abs(complex(exponent.evalf(5)))
    except (TypeError, ValueError, ArithmeticError):  # not a number: a set, say
        return math.inf
    return value if math.isfinite(value) else math.inf
