"""Bounds on the value of a sympy expression at one point, to tell unequal expressions apart.

The second net after `latex_bounds`, for what only sympy can read: the same intervals and the same
numbers for letters, but over an expression. One pass without simplification; sympy's own `evalf`
takes time exponential in the depth of an unevaluated product.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from olmes.scoring.latex.bounds import UnclearError, intervals, letter, power

LARGEST_FACTORIAL = 300


def apart(left: Any, right: Any) -> bool:
    """Whether two expressions certainly differ where their letters have those values."""
    try:
        low, high = enclosure(left), enclosure(right)
    except (UnclearError, ArithmeticError, TypeError, ValueError, RecursionError):
        return False  # not decided here
    return bool(low.b < high.a or high.b < low.a)


def enclosure(node: Any) -> Any:
    """An interval that holds the value of a sympy expression.

    Raises:
        UnclearError: it has something else than rationals, letters and elementary functions, or no
            real value. Floats are left out because sympy rounds them.
    """
    import sympy

    if isinstance(node, sympy.Rational):
        return intervals().mpf(int(node.p)) / int(node.q)
    if isinstance(node, sympy.Symbol):
        return letter(node.name)
    if node is sympy.E or node is sympy.pi:
        return intervals().e if node is sympy.E else intervals().pi
    rule = rules().get(node.func) if isinstance(node, sympy.Expr) and node.args else None
    if rule is None:
        raise UnclearError
    return rule(*map(enclosure, node.args))


@lru_cache(maxsize=1)
def rules() -> dict[type, Any]:
    """How each kind of node is evaluated from the intervals of its arguments."""
    import sympy

    iv = intervals()
    return {
        sympy.Add: lambda *terms: sum(terms, iv.mpf(0)),
        sympy.Mul: product,
        sympy.Pow: power,
        sympy.exp: iv.exp,
        sympy.log: logarithm,
        sympy.Abs: abs,
        sympy.sin: iv.sin,
        sympy.cos: iv.cos,
        sympy.tan: lambda angle: product(iv.sin(angle), power(iv.cos(angle), iv.mpf(-1))),
        sympy.factorial: factorial,
    }


def product(*factors: Any) -> Any:
    """The product of intervals."""
    value = intervals().mpf(1)
    for factor in factors:
        value = value * factor
    return value


def logarithm(argument: Any, base: Any = None) -> Any:
    """The logarithm of a positive interval, natural where no base is given."""
    if argument.a <= 0 or (base is not None and base.a <= 1):
        raise UnclearError
    natural = intervals().log(argument)
    return natural if base is None else natural / intervals().log(base)


def factorial(argument: Any) -> Any:
    """`n!` of a small whole number."""
    if argument.a != argument.b or not 0 <= argument.a <= LARGEST_FACTORIAL:
        raise UnclearError
    value = intervals().mpf(1)
    for factor in range(2, int(argument.a) + 1):
        value = value * factor
    return value
