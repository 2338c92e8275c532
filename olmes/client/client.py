"""The client of a results server (`olmes serve`), for scripts, notebooks and checkpoint hooks.

with olmes.Client("http://127.0.0.1:8765") as client:
    client.push("runs/smollm2-dev-033f3874")
    for run in client.runs(suite="dev"):
        print(run["id"], run["suite"]["value"])
"""

from __future__ import annotations

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
from olmes.client.types import (
    CheckpointScore,
    Event,
    EventKind,
    Leaderboard,
    Manifest,
    RunDetail,
    RunSummary,
    UnderWay,
)
from olmes.errors import OlmesError
from olmes.records.record import Record
from olmes.records.schema import ResponseRow
from olmes.tools.hashing import file_sha256
from olmes.types import JsonObject

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
        token: a token of it; $OLMES_TOKEN when not given.
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
        self.session = requests.Session()
        token = token or os.environ.get("OLMES_TOKEN")
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"
            # Else a .netrc of the user's would take the token's place.
            self.session.trust_env = False

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
        if "ledger.jsonl" in files and not new and not entry(run, "opened", bool):
            self._call("POST", "/ledger", data=files["ledger.jsonl"].read_bytes())
        name = entry(run, "id", str)
        return Pushed(
            id=name,
            content_hash=entry(run, "content_hash", str),
            url=f"{self.url}/runs/{quote(name)}/report.html",
            new=new,
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
        suite: str = "", finished: bool = False,
    ) -> None:  # fmt: skip
        """Say how far an evaluation is.

        Raises:
            OlmesError: the server refuses it or cannot be reached.
        """
        body = {
            "run": run, "done": done, "total": total, "task": task, "model": model,
            "suite": suite, "finished": finished,
        }  # fmt: skip
        self._call("POST", "/progress", json=body, timeout=PROMPT)

    # --- Reading -------------------------------------------------------------------------------

    def runs(self, **filters: Any) -> Iterator[RunSummary]:
        """Runs, the newest first.

        Args:
            filters: any of `model`, `fingerprint`, `family`, `suite`, `task`, `complete`,
                `held_out`, `q` (part of a name) and `sort` (`arrived` or `created`).
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
                    timeout=(min(limit, CONNECTING), limit), **arguments,
                )  # fmt: skip
            except UNREACHABLE as error:
                why = type(error).__name__
                if self.say and self.patience and not said:
                    self.say(f"{self.url} does not answer; trying for {self.patience:g} seconds")
                    said = True
                if time.monotonic() > deadline:
                    raise AwayError(
                        f"{self.url} does not answer ({why}); check that `olmes serve` runs there."
                    ) from None
            except (requests.RequestException, ValueError) as error:
                # An address or a token that no request can have, redirections without an end.
                raise OlmesError(
                    f"{self.url} cannot be asked ({type(error).__name__}); check the address and "
                    "$OLMES_TOKEN."
                ) from None
            else:
                if answer.status_code not in PASSING or time.monotonic() > deadline:
                    check(answer)
                    return content(answer)
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = min(pause * 2, 3.0)


def check_url(url: str) -> None:
    """Refuse what cannot be a server's address.

    Raises:
        OlmesError: it cannot.
    """
    if not url.startswith(("http://", "https://")):
        raise OlmesError(f"{url} is not the address of a server; write http://HOST:PORT.")


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
    if sealed:
        files["ledger.jsonl"] = record.folder.resolve().parent / "ledger.jsonl"
    for name, path in files.items():
        if path.is_symlink() or not path.is_file():
            raise OlmesError(f"{path} is missing or a link; the record names it ({name}).")
    return files
