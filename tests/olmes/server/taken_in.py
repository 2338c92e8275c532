"""Runs taken into a store without a server."""

from __future__ import annotations

from pathlib import Path

from olmes.client.client import files_of
from olmes.server.access.audit import LOCAL, Caller
from olmes.server.intake.run_files import take_in
from olmes.server.settings import Settings
from olmes.server.store.store import RunFilter, Store
from olmes.tools.hashing import file_sha256


def add(
    store: Store, folder: Path, caller: Caller = LOCAL, *, replace: bool = False, source: str = ""
) -> bool:
    """Take a run's folder in, as one of a served folder where `source` names it; whether it is new."""
    files = files_of(folder)
    hashes = {name: file_sha256(path) for name, path in files.items()}
    intake = take_in(store.settings, files, hashes)
    return store.add(intake, caller, replace=replace or bool(source), source=source)


def names_in(settings: Settings) -> list[str]:
    """The names of a store's runs, in order."""
    store = Store(settings)
    found = store.find_runs(RunFilter(), limit=20, before=None, by="arrived")
    store.database.close()
    return sorted(row.id for row in found)
