"""What a server's refusal means: try again, give the request up, or end the run.

An error that a server reports may quote what it was sent; the key is struck out of every text.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from olmes.errors import OlmesError
from olmes.models.hf.generation_rows import UnanswerableError

LONGEST_REASON = 300
"""Characters of a server's own words that are shown."""
PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 after which the same request may succeed."""
OVERLOADED = frozenset({408, 429, 503, 504, 529})
"""Statuses that say that the server has too much to do."""


class PassingError(Exception):
    """A request that failed in a way that may not happen again.

    Args:
        reason: what happened, in a few words.
        overload: whether the server was overloaded.
        counted: whether it counts as a try; not when the server never read the request.
        retry_after: seconds the server asks to wait.
    """

    def __init__(
        self,
        reason: str,
        *,
        overload: bool = False,
        counted: bool = True,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(reason)
        self.overload, self.counted, self.retry_after = overload, counted, retry_after


class UnreachableError(PassingError):
    """No answer came at all: refused, reset or dropped."""


class RequestRefusedError(UnanswerableError):
    """A request the server will not answer, however often it is sent.

    Args:
        status: of HTTP.
        words: the server's own.
        parameter: the field of the request that is to blame, where the server says so.
    """

    def __init__(self, status: int, words: str, parameter: str = "") -> None:
        super().__init__(f"the server refused the request ({status}: {words})")
        self.status, self.words, self.parameter = status, words, parameter


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    body: bytes

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is not, or is nested too deeply to be read.
        """
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def words(self, secret: str = "") -> str:
        """What the server says went wrong, on one line, without the secret."""
        found: Any = None
        with contextlib.suppress(ValueError):
            found = self.json()
        if isinstance(found, dict):
            found = found.get("error") or found.get("detail") or found.get("message")
            if isinstance(found, dict):
                found = found.get("message") or found
            text = found if isinstance(found, str) else json.dumps(found)
        elif b"<" in self.body[:200]:  # a page of a proxy on the way
            text = ""
        else:
            text = self.body[: 4 * LONGEST_REASON].decode("utf-8", "replace")
        text = " ".join((text.replace(secret, "[key]") if secret else text).split())
        text = "".join(character for character in text if character.isprintable())
        return text[:LONGEST_REASON].rstrip(" .") or "no reason given"

    def field(self, name: str) -> str:
        """A field of the error object; empty where there is none."""
        with contextlib.suppress(ValueError):
            body = self.json()
            error = body.get("error") if isinstance(body, dict) else None
            if isinstance(error, dict) and isinstance(error.get(name), str):
                return str(error[name])
        return ""


def check_status(answer: Answer, model: str, url: str, secret: str) -> None:
    """Return when the status is 200.

    Raises:
        PassingError: trying again may help.
        RequestRefusedError: it will not.
        OlmesError: no request of this run can succeed.
    """
    status = answer.status
    if status == 200:
        return
    words = answer.words(secret)
    end_of_run(answer, words, model, url)
    if status in PASSING or status >= 500:
        raise PassingError(
            f"status {status}: {words}",
            overload=status in OVERLOADED,
            counted=status != 429,
            retry_after=retry_after(answer.headers),
        )
    raise RequestRefusedError(status, words, answer.field("param"))


def end_of_run(answer: Answer, words: str, model: str, url: str) -> None:
    """Return when other requests may fare better than this one.

    Raises:
        OlmesError: the key, the account, the address or the model's name is wrong.
    """
    status, code = answer.status, answer.field("code")
    if status in (401, 403):
        raise OlmesError(
            f"{url} refuses the key ({status}: {words}); set $OLMES_API_KEY or $OPENAI_API_KEY to "
            "one that may use this model."
        )
    if status == 402 or (status == 429 and code in ("insufficient_quota", "billing_hard_limit")):
        raise OlmesError(
            f"the account at {url} has no credit left ({status}: {words}); add some, and the same "
            "command resumes the run."
        )
    if 300 <= status < 400:
        raise OlmesError(
            f"{url} redirects requests ({status}; not followed, because the key would be sent along); "
            "give the address it redirects to."
        )
    if status == 404 and (code == "model_not_found" or re.search(r"\bmodel\b.*exist", words)):
        raise OlmesError(f"{url} has no model '{model}' ({words}); name one that it serves.")


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds the server asks to wait (RFC 9110, section 10.2.3); 0 when it does not say."""
    value = headers.get("Retry-After", "").strip()
    with contextlib.suppress(ValueError):
        milliseconds = headers.get("Retry-After-Ms", "")
        seconds = float(milliseconds) / 1000 if milliseconds else float(value)
        return seconds if 0 < seconds < 1e9 else 0.0
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0
