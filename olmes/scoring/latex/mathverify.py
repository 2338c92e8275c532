r"""The library math-verify, asked whether two answers are the same, within limits and without timeouts.

It parses LaTeX to sympy and compares sets, intervals, matrices, equations, decimals and units. Here
it is given tidied text (it reads `\frac \pi4 + 2` as 2), and only gold answers that `expressions`
cannot read: it passes over what it cannot parse and rounds. Its own timeouts use signals and are
switched off; scoring processes have a limit.

The library evaluates text with Python's `eval` in one place, through sympy's `parse_expr`; only
digits, blanks and the characters `+-*/^().×÷` reach it.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Any

from olmes.scoring.latex.point import apart
from olmes.scoring.latex.size import moderate

HOPELESS = re.compile(r"\|[_^]\{[^}]*[0-9]{5}|binom\s*\{\s*[0-9]{6}|[(\[{]{40}")
"""What the library would evaluate or parse for minutes."""
BARE_FRACTION = re.compile(r"(\\[dt]?frac)\s*(\\[a-zA-Z]+|[0-9a-zA-Z])\s*(\\[a-zA-Z]+|[0-9a-zA-Z])")
BOLD = re.compile(r"\\(?:textbf|mathbf|boldsymbol|bf)\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
SEPARATOR = re.compile(r"(?<=[0-9])\s*(?:,\s*\\!|\\!\s*,|\{,\}|\\[,;: ]|~)\s*(?=[0-9]{3}(?![0-9]))")
"""What can only separate thousands: a comma with a negative space or in braces, a thin space."""


def same_to_the_library(gold: str, answer: str) -> bool:
    """Whether two answers in LaTeX are the same to the library."""
    return agree(parsed_answer(gold), parsed_answer(answer))


def tidied(answer: str) -> str:
    """An answer without dollars, a final period and what `tidied_text` removes."""
    answer = tidied_text(answer).replace(r"\$", "").strip().removesuffix(".").strip()
    if answer.startswith("$") and answer.endswith("$"):
        answer = answer.strip("$")
    return answer.strip().removesuffix(".").strip()


def tidied_text(text: str) -> str:
    r"""Text without `\!`, separators of thousands and bold face, and with braces after `\frac`."""
    text = BOLD.sub(r"\1", SEPARATOR.sub("", text).replace(r"\!", ""))
    return BARE_FRACTION.sub(r"\1{\2}{\3}", text)


@lru_cache(maxsize=16384)
def parsed_answer(answer: str) -> tuple[Any, ...]:
    """What the library reads in one answer, in dollars if it has none of its own."""
    answer = tidied(answer)
    return parsed(answer if "$" in answer else f"${answer}$")


def parsed(text: str) -> tuple[Any, ...]:
    """What the library reads in a text: expressions, then the text of the best match."""
    if HOPELESS.search(text):
        return ()
    return tuple(library().parse(text, parsing_timeout=None))


def agree(golds: tuple[Any, ...], found: tuple[Any, ...]) -> bool:
    """Whether one of `found` is one of `golds` to the library."""
    return any(same(gold, answer) for gold in golds for answer in found)


def same(gold: Any, answer: Any) -> bool:
    """Whether two answers, as parsed or as text, are the same to the library."""
    if isinstance(gold, str) or isinstance(answer, str):
        return bool(gold == answer and gold)
    if not final(answer) or certainly_different(gold, answer):
        return False
    return bool(library().verify([gold], [answer], timeout_seconds=None))


def certainly_different(gold: Any, answer: Any) -> bool:
    """Whether two expressions differ at a point, which is found out faster than by `simplify`.

    A lone symbol may be a word, which the library compares with products of letters.
    """
    import sympy

    return not isinstance(gold, sympy.Symbol | sympy.MatrixBase) and (
        not isinstance(answer, sympy.Symbol | sympy.MatrixBase) and apart(gold, answer)
    )


def final(answer: Any) -> bool:
    """Whether an expression is a value, and not a sum, integral or limit still to be worked out.

    Those, and numbers too large to evaluate, are no answers; evaluating them may never end.
    """
    import sympy

    if isinstance(answer, sympy.MatrixBase):
        return all(map(final, answer.flat()))
    unfinished = (sympy.Sum, sympy.Product, sympy.Integral, sympy.Limit, sympy.Derivative)
    return moderate(answer) and not answer.has(*unfinished)


@lru_cache(maxsize=1)
def library() -> Any:
    """The library, imported on first use, without its warning that timeouts are off."""
    import math_verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return math_verify
