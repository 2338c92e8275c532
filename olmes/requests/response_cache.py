"""The response cache, shared by all runs of a user: one SQLite file, safe for many processes.

Key: SHA-256 over the content of weights, tokenizer and chat template (the model's fingerprint), the
engine (backend, versions, precision, device), the prompt's token ids, the continuations, every
generation setting, and the repeat. One model's answers are never served for another's.
Value: the response as JSON. A failed response is never stored. Entries do not expire; delete the file
to empty it.

Making a key takes the tokenizer. A second table has it by the request and all that makes tokens
of it, so that a run whose answers are all here loads neither tokenizer nor model.
"""

from __future__ import annotations

import contextlib
import errno
import json
import sqlite3
from pathlib import Path

from olmes.models.base import Model
from olmes.tools.cache_folder import cache_folder
from olmes.tools.file_systems import locks_ranges
from olmes.tools.hashing import content_hash
from olmes.tools.notices import say_once
from olmes.tools.sqlite_journal import choose_journal
from olmes.types import JsonObject, Request, Response

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
        return key is not None and self.cache.get(key) is not None


class ResponseCache:
    """Get and put responses by key. A cache that fails is switched off, said, and never stops a run.

    Args:
        path: the file; by default the user's.
        read_only: look up only, and make no file.
    """

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        self.trouble = ""
        """Why the cache is off; empty while it works."""
        self.path = path = path or cache_folder("responses.sqlite")
        self.connection: sqlite3.Connection | None = None
        if read_only:
            self.open_read_only(path)
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not locks_ranges(path.parent):
                raise OSError(
                    errno.ENOLCK, "its file system has no locks; $OLMES_CACHE names another"
                )
            choose_journal(path)
            self.connection = sqlite3.connect(path, timeout=30, isolation_level=None)
            self.connection.execute("PRAGMA synchronous=NORMAL")
            self.connection.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            self.switch_off(error)

    def open_read_only(self, path: Path) -> None:
        """Open a file that is there; without one nothing is found."""
        if not path.is_file():
            return
        # Without a write-ahead log nobody writes, and SQLite need not make one to read.
        mode = "mode=ro" if Path(f"{path}-wal").exists() else "immutable=1"
        try:
            self.connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
        except sqlite3.Error as error:
            self.switch_off(error)

    def get(self, key: str) -> Response | None:
        """The stored response, if there is one."""
        found = self.execute("SELECT response FROM responses WHERE key = ?", key)
        return Response.from_json(json.loads(found)) if found else None

    def put(self, key: str, response: Response) -> None:
        """Store a response that did not fail."""
        if not response.error:
            row = json.dumps(response.to_json())
            self.execute("INSERT OR REPLACE INTO responses VALUES (?, ?)", key, row)

    def stored_key(self, request: str) -> str | None:
        """The stored key of a request, if there is one."""
        return self.execute("SELECT key FROM keys WHERE request = ?", request)

    def store_key(self, request: str, key: str) -> None:
        """Store the key of a request."""
        self.execute("INSERT OR REPLACE INTO keys VALUES (?, ?)", request, key)

    def execute(self, statement: str, *values: str) -> str | None:
        """The first value of the first row a statement finds, if it finds any."""
        if self.connection is None:
            return None
        try:
            found = self.connection.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            self.switch_off(error)
            return None
        return str(found[0]) if found else None

    def switch_off(self, error: Exception) -> None:
        """Continue without a cache, and remember why."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        self.trouble = f"the response cache is off for this run: {self.path}: {reason}."
        say_once(self.trouble)
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self.connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self.connection.close()
            self.connection = None
