"""The looks that this machine remembers, whichever store they were taken in.

A ledger lies in its store, so that another `--out`, or a store that was removed, would begin at no
look again. Each look is therefore noted in a file of the user's besides: `looks/USER.jsonl` in
`$OLMES_CACHE` where that is set, else in the user's data folder (`$OLMES_LOOKS` names another folder
than `looks`). What other users noted there is read too, and what a results server knew when it was last
asked (`olmes.client.looks`). It is a memory and no proof: where it cannot be written, looks are counted
without it, and that is said.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from olmes.seal.ledger import Entry, Ledger, hash_of, parsed, whole
from olmes.tools.cache_folder import cache_folder
from olmes.tools.jsonl import dumps, write_atomically
from olmes.tools.locks import locked
from olmes.tools.notices import say_once

KEPT = ("number", "time", "event", "run", "tasks", "data", "family", "fingerprint", "hash")
"""What is remembered of a line, besides its store."""
NOT_LOOKS = ("result", "overlap-counted")


def memory_folder() -> Path:
    """Where looks are remembered; it need not exist."""
    if named := os.environ.get("OLMES_LOOKS"):
        return Path(named).expanduser()
    if os.environ.get("OLMES_CACHE"):  # on a cluster it is there on every node, a home may not be
        return cache_folder("looks")
    import platformdirs

    return Path(platformdirs.user_data_dir("olmes", appauthor=False)) / "looks"


def own_file() -> Path:
    """This user's file."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid()) if hasattr(os, "getuid") else ""
    return memory_folder() / f"{re.sub('[^A-Za-z0-9_-]+', '-', user) or 'unknown'}.jsonl"


def remember(store: Path, entries: Iterable[Entry]) -> None:
    """Note the looks of a store's ledger that are not noted yet.

    All of them and not the newest alone: a look that was taken elsewhere, by an older olmes, or by
    a process that was killed before it came here is noted with the next one.
    """
    path = own_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as stream, locked(stream, path):
            known = {entry.get("hash") for entry in remembered()}
            new = [entry for entry in real_looks(entries) if entry.get("hash") not in known]
            lines = [dumps(noted(store, entry)).encode("utf-8") + b"\n" for entry in new]
            if lines:
                stream.seek(0)
                torn = (content := stream.read()) and not content.endswith(b"\n")
                stream.write((b"\n" if torn else b"") + b"".join(lines))
                stream.flush()
                os.fsync(stream.fileno())
    except OSError as error:
        say_once(
            f"{path} cannot be written ({error.strerror or error}), so that this look is counted in "
            f"{store} alone; OLMES_LOOKS names another folder."
        )


def keep_server_looks(url: str, entries: Iterable[Entry]) -> None:
    """Note the looks that a results server knows, in the place of those it knew before.

    Args:
        url: its address.
        entries: the lines of its ledgers.

    Raises:
        OSError: they cannot be noted.
    """
    looks = (entry for entry in real_looks(entries) if hash_of(entry) == entry["hash"])
    lines = [dumps({**noted(Path(), entry), "store": url}) + "\n" for entry in looks]
    path = memory_folder() / f"server-{re.sub('[^A-Za-z0-9.-]+', '-', url)[:100]}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(lines))


def noted(store: Path, entry: Entry) -> Entry:
    """What is remembered of a look."""
    return {"store": str(store.resolve()), **{key: entry[key] for key in KEPT if key in entry}}


def real_looks(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The lines that are looks at real data."""
    for entry in entries:
        told = isinstance(entry.get("family"), str) and isinstance(entry.get("hash"), str)
        if told and entry.get("event") not in NOT_LOOKS and not entry.get("sample_data"):
            yield entry


def remembered() -> Iterator[Entry]:
    """Every look that was noted on this machine, by anybody."""
    try:
        files = sorted(memory_folder().glob("*.jsonl"))
    except OSError:
        return
    for path in files:
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            continue
        for line in lines:
            entry = parsed(line)
            if entry is not None and isinstance(entry.get("hash"), str):
                yield entry


def looks_elsewhere(store: Path, entries: Sequence[Entry]) -> list[Entry]:
    """The looks of all other stores, and those of this one that are not in its ledger any more.

    A store that is there is read, as somebody else may have looked; of one that is gone counts what
    was noted. A copied store's looks are the same looks.
    """
    found = {entry["hash"]: entry for entry in remembered()}
    here = str(store.resolve())
    named = (entry.get("store") for entry in found.values())
    for place in {place for place in named if isinstance(place, str) and place != here}:
        found |= {entry["hash"]: entry for entry in real_looks(lines_of(Path(place)))}
    own = [entry.get("hash") for entry in entries]
    return [entry for digest, entry in found.items() if digest not in own]


def lines_of(store: Path) -> list[Entry]:
    """The lines of a store's ledger that are as they were written; none where it is gone."""
    path = Ledger(store).path
    try:
        lines = path.read_bytes().splitlines() if path.is_file() else []
    except OSError:
        return []
    return [entry for line in lines if whole(line) and (entry := parsed(line)) is not None]
