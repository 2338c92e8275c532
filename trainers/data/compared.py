"""Two mixtures: whether they are drawn from the same sources, and in words what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from olmes.rows.hub_commit import COMMIT

Json = Mapping[str, Any]
"""A part of a mixture, or a source, as `recipe.json` has it."""


def same_sources(
    then: Sequence[Json], now: Sequence[Json], then_parts: Sequence[Json], now_parts: Sequence[Json]
) -> bool:
    """Whether a mixture is drawn from the same sources, wherever they lie and whatever reads them.

    A file is the same by its content, a data set of the hub by the commit, also where it was not
    named before.
    """

    def drawn(source: Json) -> dict[str, Any]:
        return {name: value for name, value in source.items() if name != "revision"}

    if [drawn(source) for source in then] != [drawn(source) for source in now]:
        return False
    for source, old, new in zip(now, then_parts, now_parts, strict=False):
        commit = old["revision"] if COMMIT.fullmatch(old["revision"]) else None
        same = commit == new["revision"] or (content(old) and content(old) == content(new))
        if "named" in source and not same:
            return False
    return True


def counts(part: Json) -> tuple[Any, Any, Any]:
    """How many rows a source gave, of how many, and how many were left out."""
    return part["rows"], part["of"], part["left_out"]


def what_differs(then: Sequence[Json], now: Sequence[Json]) -> str:
    """Which source gave other rows, in words."""
    if len(then) != len(now):
        return f"{len(then)} sources then and {len(now)} now"
    pairs = list(zip(then, now, strict=True))
    for old, new in pairs:
        if counts(old) != counts(new):
            return (
                f"'{new['name']}' gave {old['rows']} of {old['of']} rows then and {new['rows']} of "
                f"{new['of']} now{commits(old, new)}"
            )
    for old, new in pairs:
        if content(old) != content(new):
            return f"'{new['name']}' gave {new['rows']} rows then as now, but others{commits(old, new)}"
    names = ", ".join(f"'{part['name']}' {part['rows']}" for part in now)
    return f"as many rows then as now ({names}), but others"


def content(part: Json) -> Any:
    """What identifies the rows of a source: a hash where there is one, or their commit."""
    return part.get("content") or part.get("revision")


def commits(old: Json, new: Json) -> str:
    """The commits of a hub data set, where they are known to differ."""
    if old.get("revision") == new.get("revision") or not old.get("revision"):
        return ""
    return f' (revision = "{old["revision"]}" is what it began with)'
