"""Every way a server can fail, against a fault-injecting server on the loopback."""

from __future__ import annotations

import itertools
import json
import os
import runpy
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.errors import OlmesError
from olmes.models.http.endpoint import parse_endpoint
from olmes.models.http.openai import OpenAIModel
from olmes.models.http.pace import Patience
from olmes.types import Generation, Request, Response
from tests.factories import lasting

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

SERVER = Path(__file__).parent / "files/faulty_server.py"
FaultyServer = runpy.run_path(str(SERVER))["FaultyServer"]
QUICK = Patience(
    first_wait=0.002, longest_wait=0.02, answer=10.0, request=20.0, silence=0.1, connect=5.0
)
HASTY = replace(QUICK, answer=0.3)
KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OLMES_API_KEY", KEY)
    server = FaultyServer()
    yield server
    server.close()


def model_of(server: Any, **options: Any) -> OpenAIModel:
    endpoint = parse_endpoint(f"m@{server.url}")
    return OpenAIModel("openai:m", endpoint, **{"patience": QUICK, **options})


def chats(count: int, **settings: Any) -> list[Request]:
    generation = Generation(**{"max_tokens": 4, **settings})
    return [
        Request(generation=generation, messages=({"role": "user", "content": f"Say w{i}."},))
        for i in range(count)
    ]


def answers(model: OpenAIModel, requests: list[Request]) -> list[Response]:
    """The responses in the requests' order, each given exactly once, by this thread."""
    found: dict[int, Response] = {}

    def done(index: int, response: Response) -> None:
        assert threading.current_thread() is threading.main_thread()
        assert index not in found
        found[index] = response

    (model.loglikelihood if requests[0].continuations else model.generate)(requests, done)
    return [found[index] for index in range(len(requests))]


PASSING = [
    "drop",
    "reset",
    "garbage",
    "truncated",
    "deep",
    "slow 0.05",
    "silent 1",
    "body not json",
    "body [1, 2]",
    'body {"choices": []}',
    'body {"choices": null}',
    'body {"choices": [7]}',
    'body {"choices": [{"finish_reason": "stop"}]}',
    'body {"choices": [{"message": {"content": 7}}]}',
    'body {"choices": [{"message": {"content": "x"}, "finish_reason": "abort"}]}',
    'body {"error": "internal", "code": 500}',
    *(f"status {code}" for code in (408, 409, 425, 429, 500, 502, 503, 504, 529)),
    "status 502 <html>Bad gateway</html>",
    "later 0.05",
]


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_survived(server: Any, fault: str) -> None:
    server.faults = lambda number, body: fault if number in (0, 3) else ""
    late = fault.startswith(("slow", "silent"))
    responses = answers(model_of(server, patience=HASTY if late else QUICK), chats(8))
    assert [response.text for response in responses] == [f"w{i}" for i in range(8)]
    assert {response.error for response in responses} == {""}
    assert len(server.asked) == 10


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("drop", "failed 6 times; the last time: the connection broke"),
        ("status 500", "failed 6 times; the last time: status 500: on purpose"),
        ("slow 0.05", "the last time: no complete answer within 0.3 s"),
        ("truncated", "the answer was cut off before its end"),
        ("body {", "the answer is not of the protocol"),
        ("status 502 <html>secret</html>", "status 502: no reason given"),
    ],
)
def test_a_request_that_never_succeeds_fails_alone(server: Any, fault: str, reason: str) -> None:
    server.faults = lambda number, body: fault if "w2" in str(body) else ""
    late = fault.startswith("slow")
    patience = replace(HASTY, tries=2) if late else QUICK
    responses = answers(model_of(server, patience=patience), chats(5))
    assert [bool(response.error) for response in responses] == [False, False, True, False, False]
    assert responses[2].finish == "error"
    assert reason in responses[2].error
    assert "\n" not in responses[2].error
    assert sum("w2" in str(body) for body in server.asked) == patience.tries


@pytest.mark.parametrize("status", [400, 404, 405, 413, 422])
def test_a_refused_request_is_not_sent_again(server: Any, status: int) -> None:
    server.faults = lambda number, body: f"status {status}" if "w1" in str(body) else ""
    responses = answers(model_of(server), chats(3))
    assert responses[1].error == f"the server refused the request ({status}: on purpose)"
    assert [response.text for response in responses] == ["w0", "", "w2"]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("status 401", r"refuses the key \(401: on purpose\); set \$OLMES_API_KEY"),
        ("status 403", "refuses the key"),
        ("status 402", "has no credit left"),
        ('status 429 {"error": {"message": "no", "code": "insufficient_quota"}}', "no credit left"),
        ('status 404 {"error": {"message": "The model `m` does not exist."}}', "has no model 'm'"),
        ("status 307", "redirects requests"),
        ("later 99999", "asks to wait for 99999 s"),
    ],
)
def test_what_no_request_can_survive_ends_the_run_at_once(
    server: Any, fault: str, message: str
) -> None:
    server.faults = lambda number, body: fault if number >= 20 else ""
    done: dict[int, Response] = {}
    began = time.monotonic()
    with pytest.raises(OlmesError, match=message) as caught:
        model_of(server).generate(chats(2000), done.__setitem__)
    assert time.monotonic() - began < 20
    assert "\n" not in str(caught.value)
    assert len(server.asked) < 100
    # What was answered before is handed over, for it has been paid for; what was under way is lost.
    assert 5 <= len(done) <= 20
    assert not any(response.error for response in done.values())


def test_the_key_is_sent_and_never_written(server: Any) -> None:
    echoed = f'{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}'
    model = model_of(server)
    server.faults = lambda number, body: f"status 400 {echoed}"
    [response] = answers(model, chats(1))
    server.faults = lambda number, body: f"status 401 {echoed}"
    with pytest.raises(OlmesError) as caught:
        answers(model, chats(1))
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    said = [response.error, str(caught.value), repr(model.engine), model.fingerprint, model.name]
    assert "Incorrect API key provided: [key]" in response.error
    assert not any(KEY in text for text in said)


def test_a_server_that_is_not_there_is_found_out_by_one_request(server: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        for act in (lambda m: m.fingerprint, lambda m: answers(m, chats(1000))):
            with pytest.raises(OlmesError, match=r"nothing answers at .* \(Connection refused\)"):
                act(model_of(server))


def test_a_server_that_dies_ends_the_run_and_keeps_what_is_finished(server: Any) -> None:
    server.latency = 0.005
    server.faults = lambda number, body: "drop" if number >= 50 else ""
    done: dict[int, Response] = {}

    def note(index: int, response: Response) -> None:
        done[index] = response
        if len(done) == 50:
            server.close()

    with pytest.raises(OlmesError, match="has stopped answering .* resumes the run"):
        model_of(server).generate(chats(3000), note)
    assert len(done) == 50


def test_a_server_that_comes_back_in_time_costs_no_request(server: Any) -> None:
    port = server.port
    patience = Patience(first_wait=0.01, longest_wait=0.05, tries=2, silence=20.0)
    back: list[Any] = []

    def note(index: int, response: Response) -> None:
        assert not response.error
        if index == 0:
            server.close()
            timer = threading.Timer(0.5, lambda: back.append(FaultyServer(port)))
            timer.start()

    model = model_of(server, patience=patience, batch_size=1)
    [first, *others] = chats(40)
    model.generate([first], note)
    responses = answers(model, others)
    back[0].close()
    assert [response.text for response in responses] == [f"w{i}" for i in range(1, 40)]


def test_a_server_that_fails_everything_ends_the_run(server: Any) -> None:
    server.faults = lambda number, body: "status 500"
    with pytest.raises(OlmesError, match=r"has failed 20 requests in a row \(status 500"):
        answers(model_of(server), chats(500))
    assert len(server.asked) < 500


def test_being_turned_away_uses_no_try_up(server: Any) -> None:
    server.faults = lambda number, body: "status 429" if number < 30 else ""
    responses = answers(model_of(server, batch_size=1), chats(3))
    assert [response.text for response in responses] == ["w0", "w1", "w2"]
    assert len(server.asked) == 33


def test_being_turned_away_for_ever_ends_the_run(server: Any) -> None:
    server.faults = lambda number, body: "status 429"
    patience = Patience(first_wait=0.01, longest_wait=0.05, request=0.5)
    with pytest.raises(OlmesError, match=r"has refused every request \(status 429"):
        answers(model_of(server, patience=patience), chats(100))


@pytest.mark.parametrize("seconds", ["1", "0.4"])
def test_retry_after_holds_for_every_request(server: Any, seconds: str) -> None:
    later = []
    for _ in range(3):  # a machine may stand still in one of them
        first = len(server.asked)
        server.faults = lambda number, body, first=first: (
            f"later {seconds}" if number == first else ""
        )
        answers(model_of(server, batch_size=1), chats(3))
        refused, again, _, last = server.times[first:]
        assert again - refused >= float(seconds)
        later.append(last - again)
        if later[-1] < 0.3:
            break
    assert min(later) < 0.3


def test_200_requests_of_200_ms_keep_32_at_once(server: Any) -> None:
    server.latency = 0.2
    model = model_of(server)
    assert model.fingerprint
    began = time.perf_counter()
    responses = answers(model, chats(200))
    took = time.perf_counter() - began
    assert not any(response.error for response in responses)
    assert 24 <= server.most_at_once <= 32
    # 200 / 32 rounds of 200 ms are 1.25 s; one at a time would take 40 s.
    assert took < 10


def test_an_overloaded_server_is_asked_less(server: Any) -> None:
    room = 5
    server.latency = 0.01
    server.faults = lambda number, body: "status 503" if server.at_once > room else ""
    patience = Patience(tries=50, first_wait=0.005, longest_wait=0.05)
    responses = answers(model_of(server, patience=patience), chats(200))
    assert not any(response.error for response in responses)
    # The first rounds find the limit; from then on few requests are refused.
    refused = len(server.asked) - 200
    assert 0 < refused < 80


def test_ctrl_c_ends_at_once(server: Any) -> None:
    server.faults = lambda number, body: "silent 20" if number >= 5 else ""
    patience = Patience()  # waits for ten minutes
    script = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    done: dict[int, Response] = {}
    script.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        model_of(server, patience=patience).generate(chats(100), done.__setitem__)
    assert time.monotonic() - began < 10
    assert not [thread for thread in threading.enumerate() if thread.name == "olmes-http"]


def test_a_failing_done_stops_the_asking(server: Any) -> None:
    server.latency = 0.01

    def done(index: int, response: Response) -> None:
        raise sqlite3.OperationalError("the disk is full")

    with pytest.raises(sqlite3.OperationalError):
        model_of(server).generate(chats(1000), done)
    time.sleep(0.1)
    asked = len(server.asked)
    time.sleep(0.1)
    assert len(server.asked) == asked < 200


def test_it_works_inside_a_running_loop(server: Any) -> None:
    import asyncio

    async def notebook() -> list[Response]:
        return answers(model_of(server), chats(3))

    assert [response.text for response in asyncio.run(notebook())] == ["w0", "w1", "w2"]


def record_of(echo: Any, out: Path, model: OpenAIModel, **options: Any) -> Any:
    from olmes import evaluate

    return evaluate(
        str(echo.task), model=model, data=echo.data, out=out, scoring_processes=1, **options
    )


def test_a_run_on_a_faulty_server_ends_with_the_same_record(
    echo: EchoBench, server: Any, tmp_path: Path
) -> None:
    clean = record_of(echo, tmp_path / "clean", model_of(server), use_cache=False)
    assert len(server.asked) == 12
    kinds = itertools.cycle(fault for fault in PASSING if not fault.startswith(("silent", "later")))
    server.faults = lambda number, body: next(kinds) if number % 2 else ""
    model = model_of(server, patience=HASTY)
    faulty = record_of(echo, tmp_path / "faulty", model, use_cache=False)
    assert len(server.asked) > 30
    assert clean.complete
    assert clean.tasks["echo"].metrics["exact_match"].value == 1.0
    assert lasting(faulty) == lasting(clean)
    samples = "samples/echo.jsonl"
    assert (faulty.folder / samples).read_bytes() == (clean.folder / samples).read_bytes()


SCRIPT = """
import sys
from olmes import evaluate
task, model, data, out = sys.argv[1:]
evaluate(task, model=model, data=data, out=out, scoring_processes=1, use_cache=False)
"""


def test_a_killed_run_goes_on_without_asking_again(
    echo: EchoBench, server: Any, tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    # The first seven are answered, the others only when the run is started again.
    server.faults = lambda number, body: "" if number < 7 else "silent 30"
    command = [
        sys.executable, "-c", SCRIPT,
        str(echo.task), f"openai:m@{server.url}", str(echo.data), str(tmp_path / "runs"),
    ]  # fmt: skip

    def finished() -> int:
        journal = next((tmp_path / "runs").glob("*/journal.jsonl"), None)
        return sum('"response"' in line for line in journal.open()) if journal else 0

    process = subprocess.Popen(command)
    wait_for(lambda: finished() == 7, process)
    process.kill()
    process.wait()
    [folder] = (tmp_path / "runs").iterdir()
    lines = (folder / "journal.jsonl").read_text().splitlines()
    # An item's key is `echo/ROW#...`, and the document of a row asks for the word of its number.
    before = [f"Say word{json.loads(line)['item'].split('/')[1].split('#')[0]}." for line in lines]
    asked = len(server.asked)
    server.faults = lambda number, body: ""
    subprocess.run(command, check=True, timeout=60)
    again = [body["messages"][0]["content"] for body in server.asked[asked:]]
    # Not counted: the server may note a request of the killed process only after the kill.
    assert len(before) == 7
    assert set(before).isdisjoint(again)
    assert {*before, *again} == {f"Say word{i}." for i in range(12)}
    assert '"complete": true' in (folder / "run.json").read_text()


@pytest.fixture
def wait_for() -> Callable[..., None]:
    def wait(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while not ready():
            assert process.poll() is None, "the run ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.01)

    return wait
