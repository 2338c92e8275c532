"""What somebody may have meant who mistyped a name: the one answer for commands, tasks and keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SHOWN = 3
"""Names that are suggested at once, at most."""


def near_names(written: str, known: Iterable[str]) -> list[str]:
    """The names most like what was written, the likest first; of capitals and `-` for `_` no matter."""
    import difflib

    plain = {plainly(name): name for name in known}
    found = difflib.get_close_matches(plainly(written), plain, n=SHOWN)
    if not found and len(written) > 1:
        found = [name for name in plain if name.startswith(plainly(written))][:SHOWN]
    return [plain[name] for name in found]


def nearest(written: str, known: Iterable[str]) -> str:
    """The name most like what was written; '' where none is like it."""
    return next(iter(near_names(written, known)), "")


def plainly(name: str) -> str:
    """A name without what fingers get wrong first."""
    return name.lower().replace("-", "_")


def unknown(kind: str, written: str, known: Sequence[str], otherwise: str) -> str:
    """That there is none of a name, and which may have been meant; else all, and what else there is.

    >>> unknown("task", "gsm8", ["gsm8k", "math"], "give the path of a task file")
    "there is no task 'gsm8'; did you mean gsm8k?"
    """
    near = near_names(written, known)
    hint = f"did you mean {' or '.join(near)}?" if near else ""
    return f"there is no {kind} '{written}'; " + (
        hint or f"choose one of {', '.join(known)}, or {otherwise}."
    )
