r"""Whether two LaTeX answers are equal to sympy, as the Minerva protocol decides it.

The reference (lm-eval 0.4.3 on sympy 1.13.3) parses both answers, subtracts, simplifies and asks
for zero; whatever cannot be parsed, subtracted or simplified, or takes over 5 s, is not equal. That
is 50 ms an answer. `equal` gives the same verdicts in about a millisecond: answers with disjoint
bounds are unequal without a parse, differences that are not zero at one point are unequal without
`simplify`, and everything is remembered. docs/math-agreement.md has the argument and the limits.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from olmes.scoring.latex.bounds import disjoint
from olmes.scoring.latex.parser import parse
from olmes.scoring.latex.point import apart
from olmes.scoring.latex.size import moderate

NUMBER = "(0|[1-9][0-9]{0,300})"
PLAIN = re.compile(
    rf"-?({NUMBER}|{NUMBER}\.[0-9]{{1,300}}|\\frac{{{NUMBER}}}{{[1-9][0-9]{{0,300}}}})"
)
"""Numbers and fractions that sympy reads (it does not read `01`); each minus itself is 0."""


def equal(left: str, right: str) -> bool:
    """Whether the reference calls two normalised answers equal.

    Identical answers are unequal where sympy cannot read them: that is a known fault of the
    reference, and kept.
    """
    if left == right and PLAIN.fullmatch(left):
        return True
    return not disjoint(left, right) and same_value(left, right)


@lru_cache(maxsize=16384)
def same_value(left: str, right: str) -> bool:
    """`equal`, by parsing."""
    known, found = parsed(right), parsed(left) if parsed(right) is not None else None
    if known is None or found is None:
        return False
    try:
        if not (moderate(known) and moderate(found)):
            return False
        difference = found - known
        return bool(difference == 0) or (not apart(found, known) and simplifies_to_zero(difference))
    except Exception:  # the protocol: whatever goes wrong in sympy, the answers are not equal
        return False


@lru_cache(maxsize=16384)
def parsed(text: str) -> Any | None:
    """What sympy reads in `text`; None where it reads nothing."""
    try:
        return parse(text)
    except Exception:  # the protocol again; sympy's converter raises a dozen kinds of errors
        return None


def simplifies_to_zero(difference: Any) -> bool:
    """The reference's own question."""
    import sympy

    return bool(sympy.simplify(difference) == 0)
