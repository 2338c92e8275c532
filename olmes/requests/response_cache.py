"""The response cache, shared by all runs of a user: one SQLite file, safe for many processes.

Key: SHA-256 over the content of weights, tokenizer and chat template (the model's fingerprint), the
engine (backend, versions, precision, device), the prompt's token ids, the continuations or the answers
to reward, every generation setting, and the repeat. One model's answers are never served for another's.
Value: the response as JSON, packed (`{"packed": ...}`) where a run under seal stored it, or found it
open. A failed response is never stored. Entries do not expire; delete the file to empty it.

A row that cannot be read is passed over and its request asked again; one of a newer olmes stays as it
is, since both may share the file.

Making a key takes the tokenizer. A second table has it by the request and all that makes tokens
of it, so that a run whose answers are all here loads neither tokenizer nor model.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sqlite3
from pathlib import Path

from olmes.models.base import Model
from olmes.requests.stored_response import (
    MOST_BYTES,
    DamagedError,
    NewerError,
    fits,
    pack,
    parse,
    response_of,
    unpack,
)
from olmes.tools.cache_folder import cache_folder
from olmes.tools.file_systems import locks_ranges
from olmes.tools.hashing import content_hash
from olmes.tools.notices import say_once
from olmes.tools.sqlite_journal import choose_journal
from olmes.types import JsonObject, Request, Response

PATIENCE = 30.0
"""Seconds of waiting for another process that has locked the file."""
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
KEY = re.compile(rb"[0-9a-f]{64}")
SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (key TEXT PRIMARY KEY, response TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (request TEXT PRIMARY KEY, key TEXT) WITHOUT ROWID;
"""


def response_key(model: Model, engine: JsonObject, request: Request) -> str:
    """64 hex digits that two requests share only when they must have the same response."""
    encoded = model.encode(request)
    return content_hash(
        {
            "model": model.fingerprint,
            "engine": engine,
            # A server renders and cuts into tokens by itself; there the text stands for them.
            "tokens": encoded.token_ids or encoded.text,
            "continuations": request.continuations,
            "generation": request.generation.to_json(),
            "repeat": request.repeat,
            # What leaves them out keeps its key.
            **({"top_logprobs": request.top_logprobs} if request.top_logprobs else {}),
            **({"answers": request.answers} if request.answers else {}),
        }
    )


class ResponseKeys:
    """The response keys of one model's requests, made or read from the cache."""

    def __init__(self, model: Model, cache: ResponseCache | None) -> None:
        self.model, self.cache, self.engine = model, cache, model.engine
        self.encoder_hash = ""
        if cache and model.encoding:
            self.encoder_hash = content_hash([model.fingerprint, self.engine, model.encoding])

    def key(self, request: Request) -> str:
        """As `response_key`."""
        if not self.cache or not self.encoder_hash:
            return response_key(self.model, self.engine, request)
        name = content_hash([self.encoder_hash, request.to_json()])
        key = self.cache.stored_key(name)
        if key is None:
            key = response_key(self.model, self.engine, request)
            self.cache.store_key(name, key)
        return key

    def answered(self, request: Request) -> bool:
        """Whether the cache has the response to a request, as far as is known without a tokenizer."""
        if not self.cache:
            return False
        if self.encoder_hash:
            key = self.cache.stored_key(content_hash([self.encoder_hash, request.to_json()]))
        else:
            key = None if self.model.encoding else self.key(request)
        return key is not None and self.cache.get(key, request) is not None


class ResponseCache:
    """Get and put responses by key. A cache that fails is switched off, said, and never stops a run.

    Args:
        path: the file; by default the user's. It is made readable for its owner alone.
        read_only: look up only, make no file, and leave it to the caller to say what is wrong.
        packed: whether a run under seal asks: what it finds open or puts is stored packed.
    """

    def __init__(
        self, path: Path | None = None, *, read_only: bool = False, packed: bool = False
    ) -> None:
        self.trouble = ""
        """Why the cache is off; empty while it works."""
        self.passed_over = ""
        """What is said of rows that could not be read; empty while there are none."""
        self.packed, self.quiet = packed, read_only
        self.newer: set[str] = set()
        """Keys of rows that a newer olmes has written."""
        self.path = path = path or cache_folder("responses.sqlite")
        self.connection: sqlite3.Connection | None = None
        try:
            self.connection = opened(path) if read_only else made(path)
            if self.connection:
                prepare(self.connection)
        except (OSError, sqlite3.Error) as error:
            self.switch_off(error)

    @property
    def said(self) -> list[str]:
        """What a run's record says of its cache: a sentence for each thing that was wrong."""
        return [sentence for sentence in (self.trouble, self.passed_over) if sentence]

    def get(self, key: str, request: Request | None = None) -> Response | None:
        """The stored response, if there is one that can be read and can be one to the request."""
        found = self.execute("SELECT response FROM responses WHERE key = ?", key)
        if found is None:
            return None
        try:
            row = parse(found)
            open_row = not (isinstance(row, dict) and row.keys() == {"packed"})
            response = response_of(row if open_row else unpack(row["packed"]))
            if request and not fits(request, response):
                raise DamagedError
        except DamagedError as error:
            if isinstance(error, NewerError):
                self.newer.add(key)
            self.pass_over()
            return None
        if open_row and self.packed:
            self.put(key, response)
        return response

    def put(self, key: str, response: Response) -> None:
        """Store a response that did not fail."""
        if not response.error and key not in self.newer:
            row = json.dumps({"packed": pack(response)} if self.packed else response.to_json())
            self.execute("INSERT OR REPLACE INTO responses VALUES (?, ?)", key, row)

    def stored_key(self, request: str) -> str | None:
        """The stored key of a request, if there is one."""
        found = self.execute("SELECT key FROM keys WHERE request = ?", request)
        if found is None:
            return None
        if not KEY.fullmatch(found):
            self.pass_over()
            return None
        return found.decode("ascii")

    def store_key(self, request: str, key: str) -> None:
        """Store the key of a request."""
        self.execute("INSERT OR REPLACE INTO keys VALUES (?, ?)", request, key)

    def execute(self, statement: str, *values: str) -> bytes | None:
        """The first value of the first row a statement finds, if it finds any."""
        if self.connection is None:
            return None
        try:
            found = self.connection.execute(statement, values).fetchone()
        except sqlite3.DataError:  # larger than any response
            self.pass_over()
            return None
        except sqlite3.Error as error:
            self.switch_off(error)
            return None
        if found is None:
            return None
        # A number or NULL, which nobody stores here, is as wrong as it was.
        return found[0] if isinstance(found[0], bytes) else str(found[0]).encode("utf-8")

    def pass_over(self) -> None:
        """Say, once a run, that rows cannot be read."""
        self.passed_over = (
            f"rows of the response cache {self.path} are damaged or of a newer olmes and are asked "
            "again; if this stays, update olmes or delete that file."
        )
        self.say(self.passed_over)

    def switch_off(self, error: Exception) -> None:
        """Continue without a cache, and remember why."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        self.trouble = (
            f"the response cache is off for this run: {self.path}: {reason}; "
            f"{remedy(error, self.path)}."
        )
        self.say(self.trouble)
        self.close()

    def say(self, sentence: str) -> None:
        """Say something once, unless a run's own cache will."""
        if not self.quiet:
            say_once(sentence)

    def close(self) -> None:
        """Close the file."""
        if self.connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self.connection.close()
            self.connection = None


def made(path: Path) -> sqlite3.Connection:
    """Open the file, made where it is not there.

    Raises:
        OSError: the folder cannot be written, or has no locks.
        sqlite3.Error: the file cannot be read or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not locks_ranges(path.parent):
        raise OSError(errno.ENOLCK, "its file system has no locks")
    # Answers are the user's own; SQLite gives the files beside it the mode of this one.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    choose_journal(path)
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=NORMAL")
        # What was stored open and is packed later leaves no trace in the file.
        connection.execute("PRAGMA secure_delete=ON")
        connection.executescript(SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def opened(path: Path) -> sqlite3.Connection | None:
    """Open a file that is there, to read it; None without one.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    if not path.is_file():
        return None
    # Without a write-ahead log nobody writes, and SQLite need not make one to read.
    mode = "mode=ro" if Path(f"{path}-wal").exists() else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)


def prepare(connection: sqlite3.Connection) -> None:
    """Have a connection give bytes, which damage cannot keep from being read, and no giants."""
    connection.text_factory = bytes
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)


def remedy(error: Exception, path: Path) -> str:
    """What to do about a file that cannot be used."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    number = error.errno if isinstance(error, OSError) else 0
    if number == errno.ENOLCK:
        return "$OLMES_CACHE names another, or give --no-cache"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        first = "end the process that holds it"
    elif code == sqlite3.SQLITE_FULL or number in (errno.ENOSPC, errno.EDQUOT):
        first = "make room"
    elif (
        code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
        or number in FORBIDDEN
        or (path.is_file() and not os.access(path, os.R_OK | os.W_OK))
    ):
        first = "make it writable"
    else:
        first = "delete that file"
    return f"{first}, set $OLMES_CACHE to another folder, or give --no-cache"
