"""The client of a results server (`olmes serve`), for scripts, notebooks and checkpoint hooks.

with olmes.Client("http://127.0.0.1:8765") as client:
    client.push("runs/smollm2-dev-033f3874")
    for run in client.runs(suite="dev"):
        print(run["id"], run["suite"]["value"])
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import requests

from olmes.client.answers import AnswerError as AnswerError  # who catches it looks for it here
from olmes.client.answers import AwayError, check, content, entry, following, not_a_server
from olmes.client.session import ServerSession, unreached, why_untrusted, without_password
from olmes.client.types import (
    CheckpointScore,
    Event,
    EventKind,
    Leaderboard,
    Manifest,
    Opened,
    OpenUpload,
    RunDetail,
    RunSummary,
    UnderWay,
)
from olmes.errors import OlmesError
from olmes.records.record import Record
from olmes.records.schema import ResponseRow
from olmes.seal.ledger import Ledger
from olmes.tools.hashing import file_sha256
from olmes.types import JsonObject, Unit

CHUNK = 4 << 20
"""Bytes of one request of an upload."""
CONNECTING = 10.0
"""Seconds until a server that lets nobody in is taken to be away."""
PROMPT = 60.0
"""Seconds until a server is taken to be away that does not answer what takes it no work."""
PASSING = (429, 500, 502, 503, 504)
"""Answers after which the same request is made again."""
UNREACHABLE = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,  # the server ended within its answer
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """A run that is on the server."""

    id: str
    content_hash: str
    url: str
    """Its page."""
    new: bool
    """False if it was there before."""

    def to_json(self) -> JsonObject:
        """A JSON object with every field."""
        return asdict(self)


class Client:
    """A results server.

    Args:
        url: its address.
        token: a token of it; $OLMES_TOKEN when not given. A server without tokens that this account
            started on this machine needs none.
        patience: seconds for which a request is made again while the server cannot be reached.
        timeout: seconds after which a request that is not answered is given up.
        say: where a line goes when the server cannot be reached and is waited for.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        patience: float = 60.0,
        timeout: float = 300.0,
        say: Callable[[str], None] | None = None,
    ) -> None:
        check_url(url)
        self.url = url.rstrip("/")
        self.patience = patience
        self.timeout = timeout
        self.say = say
        self.shown = without_password(self.url)
        self.session = ServerSession(token or os.environ.get("OLMES_TOKEN") or "")

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    # --- Uploading -----------------------------------------------------------------------------

    def push(self, folder: Path | str, *, replace: bool = False) -> Pushed:
        """Upload a run. What was sent before, by whomever it was cut off, is not sent again.

        Raises:
            OlmesError: the record is not whole, or the server refuses it or cannot be reached.
        """
        files = files_of(Path(folder))
        if "ledger.jsonl" in files:
            with contextlib.suppress(OSError):  # the server says what is wrong with it
                Ledger(files["ledger.jsonl"].parent).mend()
        manifest: Manifest = {
            "files": [
                {"name": name, "size": path.stat().st_size, "sha256": file_sha256(path)}
                for name, path in files.items()
            ],
            "replace": replace,
        }
        deadline = time.monotonic() + self.patience
        while True:
            try:
                run, new = self._upload(manifest, list(files.values()))
                break
            except AnswerError as error:
                # The upload is over: another process of ours finished it, or it was too old.
                if error.field != "upload" or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0.05, 0.3))  # noqa: S311 (spreads clients, hides nothing)
        name = entry(run, "id", str)
        if "ledger.jsonl" in files and not new and not entry(run, "opened", bool):
            self._bring_ledger(name, files["ledger.jsonl"])
        return Pushed(
            id=name,
            content_hash=entry(run, "content_hash", str),
            url=f"{self.shown}/runs/{quote(name)}/report.html",
            new=new,
        )

    def _bring_ledger(self, run: str, ledger: Path) -> None:
        """Bring a ledger, which may say that a run on the server was unsealed.

        Raises:
            AnswerError: it does, and the run stays closed there.
        """
        content = ledger.read_bytes()
        try:
            found: Opened = self._call("POST", "/ledger", data=content)
        except AnswerError as error:
            # It has lines of other people's runs: nothing is lost where this one was not opened.
            if error.status != 403 or unsealed(content, run):
                raise
            return
        for one in found.get("closed", ()):
            if one["id"] == run:
                raise AnswerError(
                    f"{run} stays closed on the server: {one['why']}", 403, "held_out"
                )

    def _upload(self, manifest: Manifest, paths: list[Path]) -> tuple[RunSummary, bool]:
        """Upload a run; what the server says of it, and whether it is new there."""
        begun = self._call("POST", "/uploads", json=manifest, timeout=PROMPT)
        if entry(begun, "state", str) == "present":
            there: RunSummary = entry(begun, "run", dict)  # type: ignore[assignment]
            return there, False
        place = f"/uploads/{quote(entry(begun, 'upload', str), safe='')}"
        sizes = [file["size"] for file in manifest["files"]]
        received = self._received(begun, len(paths))
        for number, (path, size) in enumerate(zip(paths, sizes, strict=True)):
            self._send(place, number, path, size, received[number])
        done = self._call("POST", f"{place}/commit")
        run: RunSummary = entry(done, "run", dict)  # type: ignore[assignment]
        return run, entry(done, "new", bool)

    def _received(self, state: object, count: int) -> list[int]:
        """Bytes that the server has of each of so many files."""
        found = [entry(file, "received", int) for file in entry(state, "files", list)]
        return (found + [0] * count)[:count]

    def _send(self, upload: str, number: int, path: Path, size: int, received: int) -> None:
        """Send a file from where the server has it."""
        deadline = time.monotonic() + self.patience
        place = f"{upload}/files/{number}"
        with path.open("rb") as stream:
            while received < size:
                before = received
                stream.seek(max(0, before))
                try:
                    answer = self._call(
                        "PUT", place, params={"offset": before}, data=stream.read(CHUNK),
                        timeout=PROMPT,
                    )  # fmt: skip
                    received = entry(answer, "received", int)
                except AnswerError as error:
                    if error.field != "offset":
                        raise
                    # Bytes of a request that was cut off are there, or another process sends too.
                    state = self._call("GET", upload, timeout=PROMPT)
                    received = self._received(state, number + 1)[number]
                if received > before:
                    deadline = time.monotonic() + self.patience
                elif time.monotonic() > deadline:
                    raise OlmesError(f"the server takes no more of {path.name}; try again later.")
                else:
                    time.sleep(random.uniform(0.05, 0.3))  # noqa: S311

    def progress(
        self, run: str, done: int, total: int, *, task: str = "", model: str = "",
        suite: str = "", finished: bool = False, score: float | None = None,
        scored: int = 0, unit: Unit = "share", tokens_per_s: float | None = None,
        left_s: float | None = None,
    ) -> None:  # fmt: skip
        """Say how far an evaluation is: responses of how many, and the score of `scored` of them.

        Raises:
            OlmesError: the server refuses it or cannot be reached.
        """
        body = {
            "run": run, "done": done, "total": total, "task": task, "model": model,
            "suite": suite, "finished": finished, "score": score, "scored": scored, "unit": unit,
            "tokens_per_s": tokens_per_s, "left_s": left_s,
        }  # fmt: skip
        self._call("POST", "/progress", json=body, timeout=PROMPT)

    def uploads(self) -> list[OpenUpload]:
        """Uploads under way: one's own, or with the role admin everybody's."""
        found: list[OpenUpload] = self._call("GET", "/uploads")["uploads"]
        return found

    def drop_upload(self, upload: str) -> None:
        """Give an upload up: one's own, or with the role admin anybody's.

        Raises:
            OlmesError: there is none of this id.
        """
        self._call("DELETE", f"/uploads/{quote(upload, safe='')}")

    # --- Reading -------------------------------------------------------------------------------

    def runs(self, **filters: Any) -> Iterator[RunSummary]:
        """Runs, the newest first.

        Args:
            filters: any of `model`, `fingerprint`, `family`, `suite`, `task`, `complete`,
                `held_out`, `demo_data`, `standard`, `limited`, `q` (part of a name) and `sort`
                (`created`, the time that runs say themselves, or `arrived`).
        """
        after = None
        while True:
            part = self._call(
                "GET", "/runs", params={**plain(filters), "after": after, "limit": 500}
            )
            yield from entry(part, "runs", list)
            after = following(part, after, str)
            if after is None:
                return

    def run(self, run: str) -> RunDetail:
        """A run: `run`, its summary, and `record`, its run.json."""
        found: RunDetail = self._call("GET", f"/runs/{quote(run, safe='')}")
        return found

    def samples(self, run: str, task: str, **filters: Any) -> Iterator[ResponseRow]:
        """The rows of a task (docs/record.md).

        Args:
            run: its id.
            task: its name.
            filters: any of `q`, `subtask`, `flag`, `verdict` (right, partly, wrong, none), `doc_id`.

        Raises:
            OlmesError: there is no such run or task, or its samples are under seal.
        """
        place = f"/runs/{quote(run, safe='')}/tasks/{quote(task, safe='')}/samples"
        start: int | None = 0
        while start is not None:
            part = self._call("GET", place, params={**plain(filters), "start": start, "limit": 500})
            for sample in entry(part, "samples", list):
                row: ResponseRow = entry(sample, "row", dict)  # type: ignore[assignment]
                yield row
            start = following(part, start, int)

    def leaderboard(self) -> Leaderboard:
        """Runs ranked, with who differs beyond chance."""
        found: Leaderboard = self._call("GET", "/leaderboard")
        return found

    def compare(self, a: str, b: str, *, margin: float = 0.01, force: bool = False) -> JsonObject:
        """Run `b` held against run `a`: `to_json` of the `Comparison` of `compare_runs`."""
        params = plain({"a": a, "b": b, "margin": margin, "force": force})
        return dict(self._call("GET", "/compare", params=params))

    def checkpoints(self, family: str) -> list[CheckpointScore]:
        """The runs of a training by step."""
        found = self._call("GET", "/checkpoints", params={"family": family})
        return entry(found, "checkpoints", list)

    def ledger(self) -> list[JsonObject]:
        """Every line of the ledgers that came with runs."""
        return entry(self._call("GET", "/ledger"), "entries", list)

    def running(self) -> list[UnderWay]:
        """Evaluations under way."""
        return entry(self._call("GET", "/progress"), "running", list)

    def events(self) -> Iterator[Event]:
        """What happens, from now on: kind (`run`, `progress`) and facts. Ends with the server.

        Raises:
            OlmesError: the server refuses, is no results server, or the line to it breaks.
        """
        try:
            yield from self._events()
        except UNREACHABLE as error:
            raise AwayError(
                f"{self.url} does not answer ({type(error).__name__}); check that `olmes serve` runs "
                "there."
            ) from None

    def _events(self) -> Iterator[Event]:
        address = f"{self.url}/api/v1/events"
        with self.session.get(address, stream=True, timeout=(10, 60)) as answer:
            check(answer)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise not_a_server(answer)
            kind: EventKind = "run"
            for line in answer.iter_lines(chunk_size=1):
                name, _, value = line.decode("utf-8", "replace").partition(": ")
                if name == "event":
                    kind = "run" if value == "run" else "progress"
                elif name == "data":
                    try:
                        facts = json.loads(value)
                    except (ValueError, RecursionError):
                        raise OlmesError(
                            f"what {self.url} sends is no event; check the address."
                        ) from None
                    yield ("run", facts) if kind == "run" else ("progress", facts)

    def _call(
        self, method: str, place: str, *, timeout: float | None = None, **arguments: Any
    ) -> Any:
        """Make a request, again and again while the server cannot be reached or is busy.

        Raises:
            AnswerError: the server refuses.
            OlmesError: it cannot be reached, or is no results server.
        """
        deadline = time.monotonic() + self.patience
        limit = min(self.timeout, timeout or self.timeout)
        pause = 0.1
        said = False
        while True:
            try:
                answer = self.session.request(
                    method, f"{self.url}/api/v1{place}",
                    timeout=(min(limit, CONNECTING), limit),
                    # What is sent again elsewhere would be sent without its body.
                    allow_redirects=method == "GET", **arguments,
                )  # fmt: skip
            except UNREACHABLE as error:
                if told := why_untrusted(error, self.shown):
                    raise OlmesError(told) from None
                if self.say and self.patience and not said:
                    self.say(f"{self.shown} does not answer; trying for {self.patience:g} seconds")
                    said = True
                if time.monotonic() > deadline:
                    raise AwayError(unreached(error, self.shown)) from None
            except requests.TooManyRedirects:
                raise OlmesError(
                    f"{self.shown} sends on without an end; check the address."
                ) from None
            except (OSError, ValueError) as error:
                # An address or token that no request can have, authorities that are not there.
                told = why_untrusted(error, self.shown) or (
                    f"{self.shown} cannot be asked ({type(error).__name__}); check the address and "
                    "$OLMES_TOKEN."
                )
                raise OlmesError(told) from None
            else:
                if answer.status_code not in PASSING or time.monotonic() > deadline:
                    check(answer)
                    return content(answer)
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = min(pause * 2, 3.0)


def unsealed(ledger: bytes, run: str) -> bool:
    """Whether a ledger has a line that says that a run was unsealed."""
    for line in ledger.splitlines():
        with contextlib.suppress(ValueError, AttributeError):
            entry = json.loads(line)
            if entry.get("event") == "unseal" and entry.get("run") == run:
                return True
    return False


def check_url(url: str) -> None:
    """Refuse what cannot be a server's address.

    Raises:
        OlmesError: it cannot.
    """
    if not url.startswith(("http://", "https://")):
        shown = without_password(url)
        raise OlmesError(f"{shown} is not the address of a server; write http://HOST:PORT.")


def plain(filters: Mapping[str, str | float | None]) -> dict[str, str | float | None]:
    """Filters as a query holds them."""
    return {key: str(v).lower() if isinstance(v, bool) else v for key, v in filters.items()}


def files_of(folder: Path) -> dict[str, Path]:
    """The files of a run that are uploaded, by name.

    Raises:
        OlmesError: there is no record, or a file it names is missing or a link.
    """
    record = Record.load(folder)
    sealed = record.run.sealed
    files = {"run.json": record.folder / "run.json"}
    for task in record.tasks:
        name = f"sealed/{task}.jsonl.gz" if task in sealed else f"samples/{task}.jsonl"
        files[name] = record.folder / name
    if record.run.held_out:
        files["ledger.jsonl"] = record.folder.resolve().parent / "ledger.jsonl"
    for name, path in files.items():
        if path.is_symlink() or not path.is_file():
            raise OlmesError(f"{path} is missing or a link; the record names it ({name}).")
    return files
