"""A back-up as a folder of plain files, the same for every database.

`backup.json` (schema, counts and hashes), `tables/<table>.jsonl`, `artifacts/<name>`. It is written
last: a folder without it is not a back-up. The tables are one state of the database; artifacts are
never changed, so those it names are copied after.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from sqlalchemy import Table

from olmes.errors import OlmesError
from olmes.server.refusals import utf8
from olmes.server.store import schema
from olmes.types import JsonObject

FILE = "backup.json"
UNFINISHED = "backup.unfinished"
"""Lies in the folder until the back-up is whole; then the same command may begin again."""
LARGEST = 256 << 20
"""Bytes of `backup.json`."""
VERSION = "SELECT version_num FROM alembic_version"
LEFT_OUT = ("uploads",)
"""What is under way is begun again by its clients."""


class BackupFacts(msgspec.Struct, kw_only=True):
    """`backup.json`."""

    time: str
    schema: str
    """Revision of the database's schema."""
    tables: dict[str, str]
    """SHA-256 by table."""
    artifacts: dict[str, str]
    """SHA-256 by artifact."""
    rows: dict[str, int] = {}
    """Rows by table; older back-ups do not say."""
    broken: dict[str, str] = {}
    """Runs that were damaged in the store, and why: their samples are not in the back-up."""


def kept_tables() -> list[Table]:
    """The tables of a back-up, those that others refer to first."""
    return [table for table in schema.metadata.sorted_tables if table.name not in LEFT_OUT]


def table_file(folder: Path, name: str) -> Path:
    """Where a table's rows are."""
    return folder / "tables" / f"{name}.jsonl"


def read_facts(source: Path) -> BackupFacts:
    """`backup.json` of a folder, in which anything may lie.

    Raises:
        OlmesError: the folder has none, or it is not one.
    """
    try:
        with opened(source / FILE) as stream:
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        found = json.loads(content.decode("utf-8"))
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # no lone surrogates
        return msgspec.convert(found, BackupFacts)
    except FileNotFoundError:
        raise OlmesError(f"{source} is not a whole back-up: it has no {FILE}.") from None
    except (OSError, ValueError, RecursionError) as error:
        why = str(error) or error.__class__.__name__
        raise OlmesError(
            f"{source} is not a whole back-up: its {FILE} is not as olmes writes it "
            f"({utf8(why)[:200]})."
        ) from None


def opened(path: Path) -> BinaryIO:
    """A file of a back-up: a plain one in plain folders, and no way out of them.

    Raises:
        OSError: it is missing, a link, a device, or lies behind a link.
    """
    if path.parent.is_symlink() and path.name != FILE:
        raise OSError(f"{path.parent.name} is a link")
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path.name} is not a plain file")
    return os.fdopen(handle, "rb")


def rows_of(source: Path, table: Table) -> Iterator[JsonObject]:
    """The rows of a table's file.

    Raises:
        OlmesError: a line is not a row of the table.
    """
    with opened(table_file(source, table.name)) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                row = json.loads(line)
                said = unfit(table, row)
            except (ValueError, RecursionError):
                said = "is not JSON"
            if said:
                place = table_file(source, table.name)
                raise OlmesError(f"{place}, line {number} {said}; take another back-up.")
            yield row


def unfit(table: Table, row: object) -> str:
    """Why a value is not a row of a table; '' where it is one."""
    if not isinstance(row, dict):
        return "is not a row"
    columns = {column.name: column for column in table.columns}
    if set(row) != set(columns):
        return f"does not have the columns of {table.name}"
    for name, value in row.items():
        column = columns[name]
        kind = column.type.python_type
        if value is None:
            fits = bool(column.nullable)
        elif kind is str:
            most = getattr(column.type, "length", None)
            fits = isinstance(value, str) and (most is None or len(value) <= most)
            fits = fits and "\x00" not in value and utf8(value) == value
        elif kind is bool:
            fits = isinstance(value, bool)
        elif kind is int:
            fits = type(value) is int and abs(value) < 1 << 63
        else:
            fits = type(value) in (int, float) and abs(value) < 1e300
        if not fits:
            return f"has no {name} that fits"
    return ""
