"""Which packages of an extra of olmes are not installed."""

from __future__ import annotations

from importlib import metadata


def lacking(extra: str) -> list[str]:
    """The names of an extra's packages that are not installed; none where olmes itself is not.

    What an extra has is read from the installed olmes, whose `Requires-Dist` lines name it.
    """
    from packaging.requirements import Requirement

    try:
        declared = metadata.requires("olmes") or []
    except metadata.PackageNotFoundError:  # run out of its source
        return []
    found = []
    for requirement in map(Requirement, declared):
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}):
            continue  # of olmes itself
        if marker.evaluate({"extra": extra}) and not installed(requirement.name):
            found.append(requirement.name)
    return found


def installed(name: str) -> bool:
    """Whether there is a distribution of that name."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
