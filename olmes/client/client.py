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

from olmes.client.types import (
    CheckpointScore,
    Committed,
    Event,
    EventKind,
    FileState,
    Leaderboard,
    Manifest,
    RunDetail,
    RunSummary,
    UnderWay,
    UploadState,
)
from olmes.errors import OlmesError
from olmes.records.record import Record
from olmes.records.schema import ResponseRow
from olmes.seal.ledger import Ledger
from olmes.tools.hashing import file_sha256
from olmes.types import JsonObject

CHUNK = 4 << 20
"""Bytes of one request of an upload."""
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
        if "ledger.jsonl" in files and not new and not run["opened"]:
            self._call("POST", "/ledger", data=files["ledger.jsonl"].read_bytes())
        return Pushed(
            id=run["id"],
            content_hash=run["content_hash"],
            url=f"{self.url}/runs/{quote(run['id'])}/report.html",
            new=new,
        )

    def _upload(self, manifest: Manifest, paths: list[Path]) -> tuple[RunSummary, bool]:
        """Upload a run; what the server says of it, and whether it is new there."""
        begun: UploadState = self._call("POST", "/uploads", json=manifest)
        if begun["run"] is not None:
            return begun["run"], False
        place = f"/uploads/{begun['upload']}"
        for number, (file, path) in enumerate(zip(begun["files"], paths, strict=True)):
            self._send(f"{place}/files/{number}", path, file["size"], file["received"])
        done: Committed = self._call("POST", f"{place}/commit")
        return done["run"], done["new"]

    def _send(self, place: str, path: Path, size: int, received: int) -> None:
        """Send a file from where the server has it."""
        deadline = time.monotonic() + self.patience
        with path.open("rb") as stream:
            while received < size:
                stream.seek(received)
                try:
                    received = self._call(
                        "PUT", place, params={"offset": received}, data=stream.read(CHUNK)
                    )["received"]
                    deadline = time.monotonic() + self.patience
                except AnswerError as error:
                    if error.field != "offset" or time.monotonic() > deadline:
                        raise
                    # Bytes of a request that was cut off are there, or another process sends too.
                    upload, _, number = place.rpartition("/files/")
                    state: FileState = self._call("GET", upload)["files"][int(number)]
                    received = state["received"]

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
        self._call("POST", "/progress", json=body)

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
            yield from part["runs"]
            after = part["next"]
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
            for sample in part["samples"]:
                yield sample["row"]
            start = part["next"]

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
        found: list[CheckpointScore] = self._call("GET", "/checkpoints", params={"family": family})[
            "checkpoints"
        ]
        return found

    def ledger(self) -> list[JsonObject]:
        """Every line of the ledgers that came with runs."""
        found: list[JsonObject] = self._call("GET", "/ledger")["entries"]
        return found

    def running(self) -> list[UnderWay]:
        """Evaluations under way."""
        found: list[UnderWay] = self._call("GET", "/progress")["running"]
        return found

    def events(self) -> Iterator[Event]:
        """What happens, from now on: kind (`run`, `progress`) and facts. Ends with the server."""
        address = f"{self.url}/api/v1/events"
        with self.session.get(address, stream=True, timeout=(10, 60)) as answer:
            check(answer)
            kind: EventKind = "run"
            for line in answer.iter_lines(chunk_size=1):
                name, _, value = line.decode("utf-8").partition(": ")
                if name == "event":
                    kind = "run" if value == "run" else "progress"
                elif name == "data":
                    facts = json.loads(value)
                    yield ("run", facts) if kind == "run" else ("progress", facts)

    def _call(self, method: str, place: str, **arguments: Any) -> Any:
        """Make a request, again and again while the server cannot be reached or is busy.

        Raises:
            AnswerError: the server refuses.
            OlmesError: it cannot be reached.
        """
        deadline = time.monotonic() + self.patience
        pause = 0.1
        said = False
        while True:
            try:
                answer = self.session.request(
                    method, f"{self.url}/api/v1{place}", timeout=self.timeout, **arguments
                )
                if answer.status_code not in PASSING or time.monotonic() > deadline:
                    check(answer)
                    return answer.json() if answer.content else None
            except UNREACHABLE as error:
                why = type(error).__name__
                if self.say and not said:
                    self.say(f"{self.url} does not answer; trying for {self.patience:g} seconds")
                    said = True
                if time.monotonic() > deadline:
                    raise OlmesError(
                        f"{self.url} does not answer ({why}); check that `olmes serve` runs there."
                    ) from None
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


def check(answer: requests.Response) -> None:
    """Turn a refusal into an error.

    Raises:
        AnswerError: it is one.
    """
    if answer.ok:
        return
    message, field = f"the server answered {answer.status_code}", ""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        error = answer.json()["error"]
        message, field = str(error["message"]), str(error["field"])
    raise AnswerError(message, answer.status_code, field)


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
