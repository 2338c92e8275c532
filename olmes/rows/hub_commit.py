"""Which commit of a hub data set was read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

COMMIT = re.compile(r"[0-9a-f]{40}")


def commit_of(rows: Any) -> str:
    """The commit that a data set of the hub was fetched at, 40 hex digits; '' where it does not say.

    The library names it in what it downloaded (`hf://datasets/OWNER/NAME@COMMIT/FILE`), and in the
    folder of its cache (`.../CONFIG/VERSION/COMMIT/FILE.arrow`).

    Args:
        rows: a `datasets.Dataset` as `load_dataset` gives it.
    """
    for address in rows.info.download_checksums or {}:
        if found := re.search(rf"@({COMMIT.pattern})/", str(address)):
            return found[1]
    for file in rows.cache_files:
        if COMMIT.fullmatch(Path(file["filename"]).parent.name):
            return Path(file["filename"]).parent.name
    return ""
