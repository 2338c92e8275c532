"""Where olmes caches what it can make or fetch again: data, converted models, responses, hashes."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(*parts: str) -> Path:
    """`$OLMES_CACHE`, or the platform's user cache folder for olmes, joined with `parts`.

    Nothing is created; it need not exist yet.
    """
    chosen = os.environ.get("OLMES_CACHE")
    if chosen:
        return Path(chosen).expanduser().joinpath(*parts)
    import platformdirs

    return Path(platformdirs.user_cache_dir("olmes", appauthor=False)).joinpath(*parts)
