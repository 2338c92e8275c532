"""Fields of what is uploaded: names, texts, times and numbers that database, pages and files can hold.

A text that nobody searches or sorts by may be any; these are those that become a column, a file's
name or a link.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, NoReturn

from olmes.records.check import FieldError, converted
from olmes.records.schema import Time
from olmes.server.refusals import RefusedError
from olmes.tools import json_text
from olmes.tools.json_text import JsonTextError
from olmes.tools.visible_text import unfit_name

NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.:+-]{0,99}$"
"""Names of tasks, metrics and suites."""
RUN_ID = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,119}$"
TASK_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_:+-]*(\.[A-Za-z0-9_:+-]+)*$"
"""A task's name is also a file's below the samples: no dots at its ends, no `..`."""
LONGEST_TASK = 100
LONGEST_MARK = 64
"""Characters of a hash."""
LONGEST_TIME = 40
LARGEST_VALUE = 1e50
"""Beyond it no score lies, and its third power, which statistics take, is still a number."""
SCORE = ("value", "stderr", "ci_low", "ci_high")
"""The numbers of a `Score`."""


def parse_json(content: bytes, name: str) -> Any:
    """JSON from a client.

    Args:
        content: the text.
        name: what it is called in messages.

    Raises:
        RefusedError: as `olmes.tools.json_text.parse`; the part at fault is named.
    """
    try:
        return json_text.parse(content)
    except JsonTextError as error:
        raise refused_part(name, error) from None


def refused_part(name: str, error: JsonTextError | FieldError) -> RefusedError:
    """The refusal of a part of a file; of `run.json` the field is the part alone."""
    if name == "run.json":
        where = f"{name}: {error.field}:" if error.field else name
        return RefusedError(422, f"{where} {error.why}.", error.field or name)
    where = f"{name}: {error.field}" if error.field else name
    return RefusedError(422, f"{where} {error.why}.", where)


def check_words(text: str, path: str, most: int = 500) -> None:
    """A text that a database is to hold: neither NUL nor a lone surrogate, and not too long.

    Raises:
        RefusedError: it does not fit.
    """
    if why := unfit_name(text, most):
        refuse(path, why)


def check_mark(text: str, kind: Any, path: str) -> None:
    """A hash: it has its form, which lets a line end pass, and no line end.

    Raises:
        RefusedError: it does not.
    """
    try:
        converted(text, kind)
    except FieldError as error:
        refuse(path, error.why)
    if len(text) > LONGEST_MARK or text.endswith("\n"):
        refuse(path, f"holds a line end or more than {LONGEST_MARK} characters")


def check_time(text: str, path: str) -> None:
    """A moment: of the form that records write, of a day that there is, in a zone that there is.

    Raises:
        RefusedError: it is none.
    """
    check_mark(text, Time, path)
    if why := wrong_time(text):
        refuse(path, why)


def wrong_time(text: str) -> str:
    """Why a text of a time's form is no moment; '' where it is one."""
    if len(text) > LONGEST_TIME or not text.isascii():
        return f"holds other digits than 0 to 9, or more than {LONGEST_TIME} characters"
    try:
        datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return "is no moment of a calendar"
    return ""


def check_size(number: float | None, path: str) -> None:
    """A score's size.

    Raises:
        RefusedError: it is not finite, or beyond `LARGEST_VALUE`.
    """
    if why := wrong_size(number):
        refuse(path, why)


def wrong_size(number: float | None) -> str:
    """Why a number can be no score; '' where it can, or where there is none."""
    if number is None or abs(number) <= LARGEST_VALUE:
        return ""
    finite = math.isfinite(number)
    return f"is beyond {LARGEST_VALUE:g}, which no score is" if finite else "is not finite"


def refuse(path: str, why: str) -> NoReturn:
    """Refuse a record for one of its fields; '' is the whole."""
    where = f"run.json: {path}:" if path else "run.json"
    raise RefusedError(422, f"{where} {why}.", path or "run.json")
