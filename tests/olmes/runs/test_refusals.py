"""Why requests failed is told, equal refusals end a run, and needs are checked before it."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import OlmesError, evaluate
from olmes.cli import main
from olmes.models.http.endpoint import parse_endpoint
from olmes.models.http.openai import OpenAIModel
from olmes.models.http.pace import Patience
from olmes.reports.notices import run_notices
from olmes.requests.refusals import SCORE

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

FILES = Path(__file__).parents[1] / "files"
FaultyServer = runpy.run_path(str(Path(__file__).parents[1] / "models/files/faulty_server.py"))[
    "FaultyServer"
]
QUICK = Patience(first_wait=0.002, longest_wait=0.02, answer=10.0, request=20.0)
AT_ONCE = 32
TEMPERATURE = "Unsupported value: 'temperature' does not support 0 with this model"


def refusal(message: str, status: int = 400) -> str:
    """The fault of a server that refuses with such words."""
    return f"status {status} {json.dumps({'error': {'message': message}})}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    server = FaultyServer()
    yield server
    server.close()


def model_of(server: Any) -> OpenAIModel:
    return OpenAIModel("openai:m", parse_endpoint(f"m@{server.url}"), patience=QUICK)


@dataclass
class Words:
    """The echo task over many words, and where its runs go."""

    echo: EchoBench
    out: Path

    def run(self, model: Any, **options: Any) -> Any:
        return evaluate(
            str(self.echo.task), model=model, data=self.echo.data, out=self.out,
            scoring_processes=1, use_cache=False, **options,
        )  # fmt: skip


@pytest.fixture
def many(echo: EchoBench, tmp_path: Path) -> Words:
    lines = [json.dumps({"word": f"word{i}"}) + "\n" for i in range(120)]
    (echo.data / "echo/test.jsonl").write_text("".join(lines), "utf-8")
    return Words(echo, tmp_path / "runs")


def test_few_equal_failures_are_told_in_record_warning_and_page(many: Words, server: Any) -> None:
    def faults(number: int, body: dict[str, Any]) -> str:
        word = body["messages"][-1]["content"].removeprefix("Say ").rstrip(".")
        if word in ("word3", "word33", "word90"):
            return refusal(f"'{word}' is not allowed, request req_{number}a")
        return refusal("out of luck", 422) if word == "word5" else ""

    server.faults = faults
    record = many.run(model_of(server))
    assert not record.complete
    first, second = record.tasks["echo"].reasons["failed"]
    assert (first.count, second.count) == (3, 1)
    assert second.text == "the server refused the request (422: out of luck)"
    assert first.text == "the server refused the request (400: '…' is not allowed, request N)"
    [warning] = [line for line in record.run.warnings if "requests failed" in line]
    assert f'3x "{first.text}", 1x "{second.text}"' in warning
    [notice] = [one for one in run_notices(record.run) if one.title == "Failed requests"]
    assert first.text in notice.text
    assert "word33" not in json.dumps(record.to_json()["tasks"]["echo"]["reasons"])


@pytest.mark.parametrize(
    ("message", "status", "helps"),
    [
        (TEMPERATURE, 400, "--temperature 1"),
        ("Unrecognized request argument supplied: top_p", 422, "--set '*.top_p=VALUE'"),
        (
            "This model's maximum context length is 16 tokens, but you asked for %d",
            400,
            "max_tokens",
        ),
        ("Assistant response prefill is incompatible with enable_thinking", 400, "--thinking off"),
        ("System role not supported", 400, "--system"),
        ("only streaming is served here", 400, "stream"),
        ("nobody knows", 418, "--set '*.FIELD=VALUE'"),
    ],
)
def test_equal_refusals_end_the_run_after_a_score(
    many: Words, server: Any, message: str, status: int, helps: str
) -> None:
    server.faults = lambda number, body: refusal(message.replace("%d", str(number)), status)
    with pytest.raises(OlmesError) as ended:
        many.run(model_of(server))
    assert SCORE <= len(server.asked) <= SCORE + AT_ONCE
    said = str(ended.value)
    assert f"refused {SCORE} requests in a row" in said
    assert message.partition("%d")[0] in said
    assert helps in said
    assert not many.out.exists()  # nothing was answered, so nothing is left


def test_a_server_that_begins_to_refuse_ends_the_run_and_it_resumes(
    many: Words, server: Any
) -> None:
    many.echo.data.joinpath("echo/test.jsonl").write_text(
        "".join(json.dumps({"word": f"word{i}"}) + "\n" for i in range(400)), "utf-8"
    )
    server.faults = lambda number, body: refusal("your credit is low") if number >= 40 else ""
    with pytest.raises(OlmesError, match="credit is low.*the same command resumes"):
        many.run(model_of(server))
    # Some are on their way when the run ends, and on a busy machine it hears of refusals late.
    assert len(server.asked) <= 40 + SCORE + 4 * AT_ONCE
    server.faults = lambda number, body: ""
    before = len(server.asked)
    record = many.run(model_of(server))
    assert record.complete
    assert len(server.asked) - before <= 400 - 40 + AT_ONCE
    assert record.tasks["echo"].reasons == {}


def test_what_depends_on_the_item_ends_no_run_that_gets_answers(many: Words, server: Any) -> None:
    def faults(number: int, body: dict[str, Any]) -> str:
        long = len(body["messages"][-1]["content"]) > len("Say word99.")
        return refusal("the prompt exceeds the maximum context length") if long else ""

    many.echo.data.joinpath("echo/test.jsonl").write_text(
        "".join(json.dumps({"word": f"w{i}" + "o" * 9 * (i >= 40)}) + "\n" for i in range(90)),
        "utf-8",
    )
    server.faults = faults
    record = many.run(model_of(server))
    assert record.tasks["echo"].said("failed") == 50
    assert record.tasks["echo"].score.n == 40


def test_mixed_failures_end_no_run(many: Words, server: Any) -> None:
    server.faults = lambda number, body: refusal("not this one") if number % 3 else ""
    record = many.run(model_of(server))
    assert record.tasks["echo"].said("failed") == 80
    [reason] = record.tasks["echo"].reasons["failed"]
    assert reason.count == 80


def test_the_command_ends_with_two_and_one_line(
    many: Words, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults = lambda number, body: refusal(TEMPERATURE)
    words = ["run", "--task", str(many.echo.task), "--model", f"openai:m@{server.url}", "--out"]
    with pytest.raises(SystemExit) as status:
        main([*words, str(many.out), "--data", str(many.echo.data)])
    assert status.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("olmes: ")
    assert "temperature" in last


PREFILLED = """
import dataclasses
from pathlib import Path
import runpy
from olmes import Task
Echo = type(runpy.run_path(r"{file}")["TASK"])

class Begun(Echo):
    name = "echo"
    formulation = dataclasses.replace(Echo.formulation, prefill="The word is")

    def request(self, doc):
        return dataclasses.replace(super().request(doc), prefill=self.formulation.prefill)

TASK = Begun()
"""


def test_a_prefill_that_a_server_cannot_continue_is_found_before_anything_is_asked(
    many: Words, server: Any, tmp_path: Path
) -> None:
    file = tmp_path / "begun.py"
    file.write_text(PREFILLED.format(file=many.echo.task), "utf-8")
    with pytest.raises(OlmesError, match=r"echo cannot be asked of .*prefill") as ended:
        evaluate(str(file), model=model_of(server), data=many.echo.data, out=many.out)
    assert "--set" in str(ended.value)
    assert len(server.asked) <= 6  # the probes
    assert not many.out.exists()


def test_log_likelihoods_no_server_gives_are_found_before_anything_is_asked(
    many: Words, server: Any
) -> None:
    with pytest.raises(OlmesError, match="weighing cannot be asked of"):
        evaluate(str(FILES / "weighing_task.py"), model=model_of(server), out=many.out)
    assert len(server.asked) == 1
    assert not many.out.exists()


@pytest.fixture
def tasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Runs the judged task over a recording of 60 words with a judge."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data/taste"
    folder.mkdir(parents=True)
    rows = [{"word": f"violet{i}", "encoder": ""} for i in range(60)]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    said = [{"response": f"answer number {i}", "doc_id": i, "tokens": 1} for i in range(60)]
    recording = tmp_path / "recording.jsonl"
    recording.write_text("".join(json.dumps(row) + "\n" for row in said), "utf-8")

    def run(judge: Any, **options: Any) -> Any:
        return evaluate(
            str(FILES / "judged_task.py"), model=f"replay:{recording}", judge=judge,
            data=tmp_path / "data", out=tmp_path / "runs", scoring_processes=1, **options,
        )  # fmt: skip

    return run


def test_a_judge_that_refuses_everything_ends_the_run_and_the_answers_are_kept(
    tasty: Callable[..., Any], server: Any, tmp_path: Path
) -> None:
    server.faults = lambda number, body: refusal("System role not supported")
    with pytest.raises(OlmesError, match="the judge .* refused 20 requests.*System role") as ended:
        tasty(f"openai:j@{server.url}")
    assert "--judge" in str(ended.value)
    assert len(server.asked) <= SCORE + AT_ONCE
    [folder] = (tmp_path / "runs").iterdir()
    assert len((folder / "journal.jsonl").read_bytes().splitlines()) == 60
    server.faults = lambda number, body: ""
    server.reply = lambda path, body: {
        "choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]
    }
    assert tasty(f"openai:j@{server.url}").complete


def test_why_responses_have_no_judgement_is_told_without_the_responses(
    tasty: Callable[..., Any], server: Any
) -> None:
    def faults(number: int, body: dict[str, Any]) -> str:
        asked = body["messages"][-1]["content"]
        return refusal(f"flagged: {asked}") if "violet7" in asked else ""

    server.faults = faults
    record = tasty(f"openai:j@{server.url}")
    [reason] = record.tasks["taste"].reasons["unjudged"]
    assert reason.count == record.tasks["taste"].said("unjudged") == 1
    assert reason.text.startswith("the server refused the request (400: flagged: ")
    assert "violet" not in reason.text
    assert any("no judgement" in line and reason.text in line for line in record.run.warnings)


def test_a_budget_that_is_used_up_is_no_refusal(tasty: Callable[..., Any], server: Any) -> None:
    from olmes.judging.judge import Judge

    record = tasty(Judge(model=model_of(server), budget=1))
    assert record.tasks["taste"].said("unjudged") == 60
    [reason] = record.tasks["taste"].reasons["unjudged"]
    assert reason.text == "the judge's budget of 1 tokens is used up"


def test_crashed_scorers_are_told_with_their_place(echo: EchoBench, tmp_path: Path) -> None:
    rows = [{"response": "raise" if i < 5 else "word", "doc_id": i} for i in range(12)]
    echo.record(rows)
    record = evaluate(
        str(echo.task), model=f"replay:{echo.recording}", data=echo.data, out=tmp_path / "runs",
        scoring_processes=1,
    )  # fmt: skip
    [reason] = record.tasks["echo"].reasons["crashed"]
    assert reason.count == 5
    assert reason.text.startswith("score: ValueError: a fault (echo_task.py:")
    assert any(reason.text in line for line in record.run.warnings)
