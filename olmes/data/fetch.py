"""A task's official file, fetched from GitHub at its pinned commit and checked by its SHA-256.

Fetched files lie in the user's cache folder under the first digits of their hash, uncompressed, so
that two releases that pin different commits never replace each other's files.
"""

from __future__ import annotations

import gzip
import logging
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from olmes.benchmark.source import DataFile
from olmes.data import network
from olmes.data.files import uncompressed
from olmes.data.network import NotFetched
from olmes.errors import OlmesError
from olmes.tools.cache_folder import cache_folder
from olmes.tools.durable_files import as_umask_says
from olmes.tools.hashing import file_sha256, sha256

GITHUB_RAW = "https://raw.githubusercontent.com"
CHUNK_BYTES = 1 << 16
GITHUB = re.compile(
    r"(?P<repository>[^/:\s]+/[^/:\s]+):(?P<path>[^@*]+)@(?P<commit>[0-9a-f]{7,40})"
)


def url(file: DataFile) -> str:
    """Where the file is fetched from: GitHub, or the mirror in `$OLMES_GITHUB_RAW`.

    Raises:
        NotFetched: the file has no single public original.
    """
    original = GITHUB.fullmatch(file.github)
    if original is None:
        raise NotFetched(
            f"{file.path} has no single public original that could be fetched; "
            "give a folder that holds it with --data DIR."
        )
    base = (os.environ.get("OLMES_GITHUB_RAW") or GITHUB_RAW).rstrip("/")
    repository, path, commit = original["repository"], original["path"], original["commit"]
    return f"{base}/{repository}/{commit}/{quote(path)}"


def cache_path(file: DataFile) -> Path:
    """Where the file lies, or would lie, in the user's cache."""
    name = PurePosixPath(file.path).name.removesuffix(".gz")
    return cache_folder("data") / f"{file.sha256[:16]}-{name}"


def address(file: DataFile) -> str:
    """`url`, when its host answers.

    Raises:
        NotFetched: the file has no single public original, or the host cannot be reached.
    """
    place = url(file)
    network.require(place)
    return place


def cached(file: DataFile) -> bool:
    """Whether the user's cache holds the file with the right bytes."""
    path = cache_path(file)
    return path.is_file() and file_sha256(path) == file.sha256


def fetch(file: DataFile) -> Path:
    """The path of the official file in the user's cache, fetched when it is not there.

    Several processes may fetch the same file at once: each writes a file of its own and moves it
    into place whole.

    Raises:
        NotFetched: the host cannot be reached, the connection was cut, or the file is not there.
        OlmesError: what came has another hash, or the cache folder cannot be written.
    """
    path = cache_path(file)
    return path if cached(file) else fetch_to(file, path)


def official_bytes(file: DataFile, folder: Path) -> bytes:
    """The official file's bytes, from the user's cache or fetched by way of a file in `folder`.

    Raises:
        NotFetched, OlmesError: as `fetch` does.
    """
    if cached(file):
        return cache_path(file).read_bytes()
    return fetch_to(file, folder / cache_path(file).name).read_bytes()


def is_official(path: Path, file: DataFile) -> bool:
    """Whether the file at `path` has the official bytes, apart from compression.

    Raises:
        OlmesError: the file cannot be read.
    """
    return sha256(uncompressed(path)) == file.sha256


def fetch_to(file: DataFile, path: Path) -> Path:
    """Fetch the official file, uncompressed, to `path`, which then exists whole or not at all.

    Raises:
        NotFetched, OlmesError: as `fetch` does.
    """
    place = address(file)

    import pooch
    import requests

    def download(source: str, temporary: str, _pooch: Any) -> None:
        timeout = (network.CONNECT_SECONDS, network.READ_SECONDS)
        pooch.HTTPDownloader(chunk_size=CHUNK_BYTES, timeout=timeout)(source, temporary, None)
        finish(Path(temporary), file, source)

    try:
        with _quiet(pooch.get_logger()):
            fetched = pooch.retrieve(
                place,
                known_hash=f"sha256:{file.sha256}",
                fname=path.name,
                path=path.parent,
                downloader=download,
            )
    except requests.exceptions.RequestException as error:
        raise NotFetched(_why(place, error)) from None
    except OSError as error:
        raise OlmesError(
            f"{path.parent} cannot be written ({error}); make room there or name another folder "
            "with OLMES_CACHE."
        ) from None
    return Path(fetched)


def finish(fetched: Path, file: DataFile, place: str) -> None:
    """Uncompress a fetched file in place and check it, before anything can read it.

    Raises:
        OlmesError: its bytes are not the official ones.
    """
    if place.endswith(".gz"):
        # What is not gzip is left as it came: the hash says that these are not the official bytes.
        with suppress(gzip.BadGzipFile, EOFError, zlib.error):
            fetched.write_bytes(gzip.decompress(fetched.read_bytes()))
    found = file_sha256(fetched)
    if found != file.sha256:
        raise OlmesError(
            f"{place} has SHA-256 {found}, but {file.path} is known as {file.sha256}; nothing of "
            "it was kept: try again, and if it stays so, give the file with --data DIR."
        )
    # A temporary file is its owner's alone; a cache may be shared by a whole group.
    as_umask_says(fetched)


def _why(place: str, error: Any) -> str:
    """What went wrong with a request, and what to do."""
    if error.response is not None:
        status = error.response.status_code
        if status == 404:
            return (
                f"{place} does not exist (HTTP 404); "
                "check OLMES_GITHUB_RAW, or give the file with --data DIR."
            )
        return f"{place} was refused (HTTP {status}); try again later or use --data DIR."
    return (
        f"{place} was cut off ({network.brief(error)}) and nothing of it was kept; "
        "try again or use --data DIR."
    )


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep a library from announcing what has been said already."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
