"""Judged tasks from response to score: who is asked, what is kept, what it costs, what fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import OlmesError, Record, Request, Response, evaluate
from olmes.cli.run import write_page
from olmes.judging.judge import Judge
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.runs.planning import load_judge
from tests.known import known

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

TASK = Path(__file__).parents[1] / "files/judged_task.py"
WORDS = ("good", "bad", "equal", "odd")
SAYS = {"good": "A", "bad": "B", "equal": "tie", "odd": "Well, both have merits."}


class RuleJudge(Model):
    """A judge that follows a rule instead of a language model; it counts what it is asked."""

    name = "rule"
    fingerprint = "ab" * 32
    engine: dict[str, Any] = {"backend": "rule"}  # noqa: RUF012

    def __init__(self, *, tokens: int = 10, fails: str = "") -> None:
        self.asked: list[str] = []
        self.tokens = tokens
        self.fails = fails

    def encode(self, request: Request) -> EncodedPrompt:
        return EncodedPrompt(text=request.messages[0]["content"], token_ids=())

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        for position, request in enumerate(requests):
            first = request.messages[0]["content"].split("\n")[0].removeprefix("A: ")
            self.asked.append(first)
            if first == self.fails:
                done(position, Response(finish="error", error="the server is gone"))
            else:
                done(
                    position,
                    Response(text=SAYS[first], prompt_tokens=self.tokens, completion_tokens=1),
                )

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        raise AssertionError("a judge weighs nothing")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data and a recording whose responses are the words the judge knows."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OLMES_DATA", raising=False)
    write(tmp_path, [""] * len(WORDS))
    return tmp_path


def write(folder: Path, encoders: list[str]) -> None:
    (folder / "data/taste").mkdir(parents=True, exist_ok=True)
    docs = [{"word": f"word{i}", "encoder": encoder} for i, encoder in enumerate(encoders)]
    (folder / "data/taste/test.jsonl").write_text("".join(json.dumps(d) + "\n" for d in docs))
    rows = [{"response": word, "doc_id": i} for i, word in enumerate(WORDS)]
    (folder / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(bench: Path, judge: Judge | str | None, out: str = "runs", task: Path = TASK) -> Record:
    return evaluate(
        str(task),
        model=f"replay:{bench / 'said.jsonl'}",
        data=bench / "data",
        out=bench / out,
        judge=judge,
        scoring_processes=1,
    )


def test_wins_ties_and_what_cannot_be_read(bench: Path) -> None:
    record = run(bench, Judge(model=RuleJudge()))
    task = record.tasks["taste"]
    assert task.metrics["win_rate"].value == pytest.approx(1.5 / 3)
    assert task.metrics["win_rate"].n == 3
    assert task.counts["unparsed"] == 1
    assert record.complete
    said = "taste: 1 judgements could not be read and are not in the score."
    assert said in record.run.warnings


def test_what_cannot_be_read_and_has_a_value_is_said_to_be_in_the_score(bench: Path) -> None:
    source = TASK.read_text("utf-8")
    valued = bench / "valued.py"
    assert "Verdict(values={}, unparsed=True" in source
    valued.write_text(
        source.replace(
            "Verdict(values={}, unparsed=True", 'Verdict(values={"win_rate": 0.0}, unparsed=True'
        ),
        "utf-8",
    )
    record = run(bench, Judge(model=RuleJudge()), task=valued)
    assert (record.tasks["taste"].score.n, record.tasks["taste"].unread) == (4, 0)
    said = (
        "taste: 1 judgements could not be read; the task gave their responses values, which are in "
        "the score."
    )
    assert said in record.run.warnings
    page = (record.folder / "report.html").read_text("utf-8") if write_page(record) else ""
    assert "1 judgement could not be read; the task gave the responses values" in page


def test_every_judgement_is_stored_with_question_answer_judge_and_price(bench: Path) -> None:
    record = run(bench, Judge(model=RuleJudge(tokens=40)))
    judge = known(record.tasks["taste"].judge)
    assert known(judge.model).fingerprint == RuleJudge.fingerprint
    assert judge.judgements == 4
    assert judge.tokens == {"prompt": 160, "completion": 4}
    row = list(record.samples("taste"))[3]
    [judgement] = row["judgements"]
    assert judgement["messages"] == [{"role": "user", "content": "A: odd\nB: word3"}]
    assert judgement["text"] == SAYS["odd"]
    assert (judgement["prompt_tokens"], judgement["completion_tokens"]) == (40, 1)


def test_a_judgement_is_paid_for_once(bench: Path) -> None:
    first, second = RuleJudge(), RuleJudge()
    run(bench, Judge(model=first))
    again = run(bench, Judge(model=second), out="elsewhere")
    assert len(first.asked) == 4
    assert second.asked == []
    assert again.tasks["taste"].metrics["win_rate"].value == pytest.approx(0.5)


def test_stored_judgements_judge_again(bench: Path) -> None:
    record = run(bench, Judge(model=RuleJudge()))
    samples = record.samples_path("taste")
    again = run(bench, f"replay:{samples}", out="elsewhere")
    assert again.tasks["taste"].metrics == record.tasks["taste"].metrics
    assert again.id != record.id
    with pytest.raises(OlmesError, match="holds no judgement"):
        load_judge(f"replay:{bench / 'said.jsonl'}")


def test_a_budget_is_not_overdrawn_and_the_rest_is_counted(bench: Path) -> None:
    cost = 10 + 1
    judge = Judge(model=RuleJudge(tokens=10), budget=2 * cost + 3)
    record = run(bench, judge)
    assert judge.spent <= 2 * cost + 3
    counts = record.tasks["taste"].counts
    assert 0 < counts["unjudged"] < 4
    assert not record.complete
    assert record.tasks["taste"].metrics["win_rate"].n + counts["unjudged"] <= 4
    notes = [row["note"] for row in record.samples("taste") if "unjudged" in row["flags"]]
    assert all(f"budget of {judge.budget} tokens is used up" in note for note in notes)
    said = (
        "questions did not fit into the judge's budget of 25 tokens; resume with the same command"
    )
    assert any(f"{counts['unjudged']} {said}" in line for line in record.run.warnings)
    # With more to spend the same run goes on, and asks only what was not asked yet.
    rest = RuleJudge(tokens=10)
    assert run(bench, Judge(model=rest, budget=10_000)).complete
    assert len(rest.asked) == counts["unjudged"]


def test_a_failed_judgement_is_no_verdict(bench: Path) -> None:
    record = run(bench, Judge(model=RuleJudge(fails="bad")))
    assert record.tasks["taste"].counts["unjudged"] == 1
    assert record.tasks["taste"].metrics["win_rate"].n == 2
    row = list(record.samples("taste"))[1]
    assert row["values"] == {}
    assert "the server is gone" in row["note"]
    assert not record.complete


def test_an_encoder_that_cannot_be_had_fails_its_questions_alone(bench: Path) -> None:
    write(bench, ["", "", "", str(bench / "no-encoder")])
    record = run(bench, Judge(model=RuleJudge()))
    rows = list(record.samples("taste"))
    assert [bool(row["values"]) for row in rows] == [True, True, True, False]
    assert rows[3]["flags"] == ["unjudged"]
    assert "no-encoder" in rows[3]["note"]
    # Said beside the score too: of a held-out task nobody sees the rows.
    assert any("needs the encoder" in line for line in record.run.warnings)


def test_an_encoder_that_judged_is_named_in_record_page_and_server(
    bench: Path, roberta: Path
) -> None:
    from olmes.reports.run_page import write_run_page
    from olmes.server.intake.checks import checked_record

    write(bench, ["", "", "", str(roberta)])
    record = run(bench, Judge(model=RuleJudge()))
    assert record.complete
    encoders = known(known(record.tasks["taste"].judge).encoders)
    assert list(encoders) == [str(roberta)]
    assert encoders[str(roberta)]["engine"]["backend"] == "bertscore"
    page = write_run_page(record.folder, bench / "page.html").read_text("utf-8")
    assert encoders[str(roberta)]["fingerprint"] in page
    assert checked_record(record.to_json()) == record.run


def test_without_a_judge_the_task_is_not_run_and_the_suite_says_so(
    bench: Path, echo: EchoBench
) -> None:
    with pytest.raises(OlmesError, match="--judge openai:NAME@URL"):
        run(bench, None)
    suite = bench / "both.toml"
    suite.write_text(f'tasks = ["{TASK}", "{echo.task}"]\n')
    record = evaluate(
        str(suite), model=f"replay:{echo.recording}", data=echo.data, out=bench, scoring_processes=1
    )
    assert list(record.tasks) == ["echo"]
    assert "--judge" in record.run.not_run["taste"]
    mean = known(record.run.suite)
    assert not mean.complete
    assert mean.missing == ["taste"]
    assert mean.value == record.value("echo")
    assert any(line.startswith("taste: not run") for line in record.run.warnings)


def test_scoring_a_recording_of_a_judged_task_says_what_to_run(bench: Path) -> None:
    from click.testing import CliRunner

    from olmes.cli.score import command

    result = CliRunner().invoke(
        command, [str(bench / "said.jsonl"), "--task", str(TASK), "--data", str(bench / "data")]
    )
    assert isinstance(result.exception, OlmesError)
    assert "--judge" in str(result.exception)
