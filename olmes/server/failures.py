"""What a client is answered when the server's machine fails: its disk, its database, its limits.

Whose fault it is decides what a client does: it tries again after a 503, and it tells its user after a
507 or a refusal.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from olmes.errors import OlmesError
from olmes.server.observe import log
from olmes.server.refusal_response import refusal
from olmes.server.refusals import RefusedError
from olmes.server.store.damage import DamagedStoreError
from olmes.tools.places import FULL, MACHINE, REFUSED, ROOM, hidden_code

OF_THE_ROWS = (DataError, IntegrityError, ProgrammingError, NotSupportedError)
"""What a database says of what it was given; everything else is its own trouble."""
NO_ROOM = frozenset({*FULL, errno.EFBIG})
NOT_OURS = frozenset({errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG})
"""Numbers that are as likely a mistake of ours: they are not excused as the machine's."""
DISK_FULL = "53100"
"""PostgreSQL's own number for it."""
MAYBE_FULL = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
"""What SQLite says, too, when there is no room for a file beside the database."""


def passing(error: BaseException) -> bool:
    """Whether an error may be gone the next time though nothing that was asked has changed.

    What the machine, the database or a worker process did may be; what a file says is not.
    """
    if isinstance(error, RefusedError):
        return error.status >= 500 or error.status in (408, 425, 429)
    if isinstance(error, DamagedStoreError):
        return True
    if isinstance(error, OlmesError):
        behind = error.__cause__ or error.__context__
        missing = (FileNotFoundError, NotADirectoryError)
        return isinstance(behind, (OSError, DBAPIError)) and not isinstance(behind, missing)
    if isinstance(error, DBAPIError):
        return not isinstance(error, OF_THE_ROWS) or error.connection_invalidated
    known = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
    return not isinstance(error, known)


def answer_to(error: Exception, folder: Path) -> RefusedError | None:
    """What a client is told of a failure of the machine; None where it is none.

    Args:
        error: what was raised.
        folder: of the server's work, whose disk may be full.
    """
    if isinstance(error, DamagedStoreError):
        log.error("the database is damaged", extra={"facts": {"error": str(error)}})
        return RefusedError(
            503, "the server's database is damaged; whoever runs it restores a back-up."
        )
    if isinstance(error, PoolTimeoutError):
        return RefusedError(503, "the server is busy; try again.")
    if isinstance(error, DBAPIError):
        return of_database(error, folder)
    if isinstance(error, OSError):
        return of_machine(error)
    if isinstance(error, MemoryError):
        log.error("no memory is left")
        return RefusedError(503, "the server has no memory left; try again later.")
    return None


def of_database(error: DBAPIError, folder: Path) -> RefusedError | None:
    """What a client is told of an error of the database."""
    if isinstance(error, OF_THE_ROWS) and not error.connection_invalidated:
        return None
    if is_full(error, folder):
        return full(error)
    log.error("the database does not answer", extra={"facts": {"error": str(error.orig)}})
    return RefusedError(503, "the database does not answer; try again.")


def is_full(error: DBAPIError, folder: Path) -> bool:
    """Whether a database has no more room for what it should keep."""
    if getattr(error.orig, "sqlstate", None) == DISK_FULL or hidden_code(error.orig) in FULL:
        return True
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    try:
        return code in MAYBE_FULL and shutil.disk_usage(folder).free < ROOM
    except OSError:
        return False


def of_machine(error: OSError) -> RefusedError | None:
    """What a client is told of an error of the system."""
    if error.errno in NO_ROOM:
        return full(error)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        log.error("the store cannot be written", extra={"facts": {"error": str(error)}})
        return RefusedError(503, "the server may not write into its store; tell who runs it.")
    if error.errno in {*MACHINE, *REFUSED} - NOT_OURS:
        log.error("the machine fails", extra={"facts": {"error": str(error)}})
        return RefusedError(503, "the server's machine cannot do that now; tell who runs it.")
    return None


def full(error: Exception) -> RefusedError:
    """What a client is answered when the server's disk is full."""
    log.error("the server's disk is full", extra={"facts": {"error": str(error)}})
    return RefusedError(507, "the server's disk is full; make room there and send it again.")


class Failures:
    """The ASGI application, with an answer where the machine fails outside of the routes."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self.app = app
        self.folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; answer what fails before there is an answer."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            said = answer_to(error, self.folder) if scope["type"] == "http" and not begun else None
            if said is None:
                raise
            await refusal(said)(scope, receive, send)
