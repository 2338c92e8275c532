"""What a server's refusal means: try again, give the request up, or end the run.

An error that a server reports may quote what it was sent; the key is struck out of every text.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from olmes.errors import OlmesError
from olmes.models.hf.generation_rows import UnanswerableError
from olmes.models.http.stream import assembled

LONGEST_REASON = 300
"""Characters of a server's own words that are shown."""
PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 after which the same request may succeed."""
OVERLOADED = frozenset({408, 429, 503, 504, 529})
"""Statuses that say that the server has too much to do."""
TEMPLATE_SAID = re.compile(r"jinja|chat template|raise_exception|template error", re.IGNORECASE)
"""How servers say that a chat template has refused a chat."""


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
    """No answer came at all: refused, reset or dropped.

    Args:
        reason: what happened, in a few words.
        counted: whether it counts as a try.
        remedy: what to do about it, where it is not the server's to mend.
    """

    def __init__(self, reason: str, *, counted: bool = True, remedy: str = "") -> None:
        super().__init__(reason, counted=counted)
        self.remedy = remedy


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


STATUS_OF = (
    ("insufficient_quota", 429),
    ("rate_limit", 429),
    ("rate limit", 429),
    ("too many requests", 429),
    ("overloaded", 529),
    ("unavailable", 503),
    ("invalid_api_key", 401),
    ("authentication", 401),
    ("model_not_found", 404),
    ("context_length", 400),
    ("invalid_request", 400),
    ("bad_request", 400),
)
"""What the codes and types of errors mean as a status, where an error has words for one."""


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
            if self.headers.get("Content-Type", "").startswith("text/event-stream"):
                return assembled(self.body)
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def words(self, secret: str = "") -> str:
        """What the server says went wrong, on one line, without the secret."""
        found: Any = None
        with contextlib.suppress(ValueError):
            found = self.json()
        if isinstance(found, dict):
            found = error_in(found) or found.get("detail") or found.get("message")
            if isinstance(found, dict):
                # A provider's own words, where another has passed them on.
                inner = found.get("metadata")
                raw = inner.get("raw") if isinstance(inner, dict) else None
                said = found.get("message") or found.get("status_msg") or found
                found = f"{said}: {raw}" if isinstance(raw, str) and raw else said
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
            error = error_in(body) if isinstance(body, dict) else None
            if isinstance(error, dict) and isinstance(error.get(name), str):
                return str(error[name])
        return ""

    def inside(self) -> Answer:
        """The same, with the status that an error inside a 200 has; itself where there is none.

        Vendors that pass requests on (OpenRouter) have begun to answer before the other end fails.
        """
        if self.status != 200 or not re.search(rb'"(error|base_resp)"', self.body):
            return self
        try:
            body = self.json()
        except ValueError:
            return self
        error = error_in(body) if isinstance(body, dict) else None
        if not error:
            return self
        return Answer(status_of(error, body), self.headers, json.dumps(body).encode())


def error_in(body: Mapping[str, Any]) -> Any:
    """The error in an answer, or in its choice; None where there is none."""
    if error := body.get("error"):
        return error
    if body.get("object") == "error":
        return body
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict) and choice.get("error"):
        return choice["error"]
    base = body.get("base_resp")  # MiniMax
    return base if not choices and isinstance(base, dict) and base.get("status_code") else None


def status_of(error: Any, body: Mapping[str, Any]) -> int:
    """The status that an error inside an answer stands for; 500 where it does not say."""
    found = error if isinstance(error, dict) else {}
    for code in (found.get("code"), found.get("status"), body.get("code")):
        number = int(code) if isinstance(code, str) and code.isascii() and code.isdigit() else code
        if type(number) is int and 400 <= number < 600:
            return number
    text = json.dumps(error).lower()
    return next((status for words, status in STATUS_OF if words in text), 500)


@dataclass(frozen=True, slots=True)
class Server:
    """Who is asked, as errors name it."""

    model: str
    url: str
    secret: str = field(default="", repr=False)
    """The key, to be struck out of every text."""
    keys: str = "$OLMES_API_KEY"
    """Where a key may be set for it."""
    way: str = ""
    """How requests get there, where not straight: ` through the proxy ...`."""


def check_status(answer: Answer, server: Server) -> None:
    """Return when the status is 200.

    Raises:
        PassingError: trying again may help.
        RequestRefusedError: it will not.
        OlmesError: no request of this run can succeed.
    """
    status = answer.status
    if status == 200:
        return
    words = answer.words(server.secret)
    end_of_run(answer, words, server)
    if status == 500 and TEMPLATE_SAID.search(words):
        raise RequestRefusedError(status, words)  # what a chat template refuses, it always will
    if status in PASSING or status >= 500:
        raise PassingError(
            f"status {status}: {words}{server.way}",
            overload=status in OVERLOADED,
            counted=status != 429,
            retry_after=retry_after(answer.headers),
        )
    raise RequestRefusedError(status, words, answer.field("param"))


def end_of_run(answer: Answer, words: str, server: Server) -> None:
    """Return when other requests may fare better than this one.

    Raises:
        OlmesError: the key, the account, the address or the model's name is wrong.
    """
    status, code, url = answer.status, answer.field("code"), server.url
    if status == 407:
        raise OlmesError(
            f"requests to {url} are not let{server.way} ({status}: {words}); put its user "
            "name and password into the proxy's variable."
        )
    if status in (401, 403):
        raise OlmesError(
            f"{url} refuses the key ({status}: {words}{server.way}); set {server.keys} to one that "
            "may use this model."
        )
    if status == 400 and re.search(
        rb"plain HTTP request.{0,40}HTTPS port", answer.body, re.IGNORECASE
    ):
        raise OlmesError(f"{url} speaks TLS alone; write https:// in its address.")
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
        raise OlmesError(f"{url} has no model '{server.model}' ({words}); name one that it serves.")


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
