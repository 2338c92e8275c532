"""What a server answered, read with suspicion: it may be no results server, or one of another olmes."""

from __future__ import annotations

import contextlib
from typing import Any, TypeVar
from urllib.parse import urljoin

import requests

from olmes.client.session import without_password
from olmes.errors import OlmesError
from olmes.tools.visible_text import one_line

T = TypeVar("T")
LONGEST = 1000
"""Characters of a server's message that are shown."""
OWN_WORDS = (401, 403, 409, 413, 422, 429)
"""Refusals that proxies and login pages give too, so that they say nothing of the address."""


class AnswerError(OlmesError):
    """The server refused.

    Attributes:
        status: HTTP status.
        field: the part of the record or request at fault; '' where none is.
    """

    def __init__(self, message: str, status: int, field: str) -> None:
        super().__init__(message)
        self.status = status
        self.field = field


class AwayError(OlmesError):
    """The server cannot be reached."""


def check(answer: requests.Response) -> None:
    """Turn a refusal into an error.

    Raises:
        AnswerError: it is one.
    """
    if answer.is_redirect:
        place = without_password(urljoin(answer.url, answer.headers["location"]))
        raise AnswerError(
            f"the server sends on to {place}; give its address there.", answer.status_code, ""
        )
    if answer.ok:
        return
    status = f"{answer.status_code} {one_line(answer.reason or '')[:80]}".rstrip()
    message, field = f"the server answered {status}", ""
    if answer.status_code == 401:
        message += "; put a token of it into $OLMES_TOKEN"
    elif answer.status_code < 500 and answer.status_code not in OWN_WORDS:
        message += "; check that a results server is at this address"
    message += "."
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        error = answer.json()["error"]
        message, field = str(error["message"]), str(error["field"])
    raise AnswerError(one_line(message)[:LONGEST], answer.status_code, field)


def content(answer: requests.Response) -> Any:
    """The JSON object of an answer; None for one that has no content.

    Raises:
        OlmesError: it is something else: a login page, say.
    """
    if answer.status_code == 204:
        return None
    found = None
    with contextlib.suppress(ValueError, RecursionError):
        found = answer.json()
    if isinstance(found, dict):
        return found
    raise not_a_server(answer)


def not_a_server(answer: requests.Response) -> OlmesError:
    """What to raise of an answer that no results server gives."""
    kind = one_line(answer.headers.get("content-type", "no type"))[:80]
    return OlmesError(
        f"what answers there is not a results server ({answer.status_code}, {kind}); check the "
        "address, and that no login page is in between."
    )


def entry(answer: object, name: str, kind: type[T]) -> T:
    """A part of an answer.

    Raises:
        OlmesError: it is not there, or is of another kind.
    """
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, kind):
        raise OlmesError(
            f"the server answers in a form that this olmes does not know ('{name}'); check the "
            "address, and that client and server are of the same version."
        )
    return found


def following(answer: object, before: T | None, kind: type[T]) -> T | None:
    """Where the next part of a list begins; None where there is none.

    Raises:
        OlmesError: there, where this part began: it would never end.
    """
    if isinstance(answer, dict) and "next" in answer and answer["next"] is None:
        return None
    found = entry(answer, "next", kind)
    if found == before:
        raise OlmesError("the server repeats the same part of the list; ask it again later.")
    return found


def in_words(error: Exception) -> str:
    """An error in one sentence."""
    if isinstance(error, OlmesError):
        return str(error)
    if isinstance(error, OSError):
        return f"{one_line(str(error))}."
    return f"{type(error).__name__}: {one_line(str(error))} (internal error)."
