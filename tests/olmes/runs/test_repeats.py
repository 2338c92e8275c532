"""Several responses an item from the command to every place that shows them."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import olmes
from olmes import OlmesError, Record, evaluate
from olmes.benchmark.registry import load_task
from olmes.cli.compare import command as compare_command
from olmes.cli.report import command as report_command
from olmes.cli.run import command as run_command
from olmes.cli.score import command as score_command
from olmes.comparison.compare import compare_runs
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.records.aggregate import task_numbers
from olmes.records.schema import TaskRepeats
from olmes.records.shown import shown
from olmes.reports.checkpoints_page import write_checkpoints_page
from olmes.reports.leaderboard_page import write_leaderboard_page
from olmes.server.pages.leaderboard import leaderboard
from olmes.types import Request, Response
from tests.factories import response_row

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

RIGHT = (4, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0, 0)
"""Of 4 responses to each of the 12 items; the wrong ones say one thing."""


def recording(counts: tuple[int, ...] = RIGHT) -> list[dict[str, Any]]:
    """Responses of which so many are right, item by item; the right ones first."""
    return [
        {"response": f"word{item}" if repeat < right else "wrong", "doc_id": item, "repeat": repeat}
        for item, right in enumerate(counts)
        for repeat in range(4)
    ]


def run_of(echo: EchoBench, out: Path, rows: list[dict[str, Any]], **options: Any) -> Record:
    """A run of the echo task on a recording."""
    echo.record(rows)
    given: dict[str, Any] = {"settings": {"echo.n": 4}, "scoring_processes": 1} | options
    return evaluate(
        str(echo.task), model=f"replay:{echo.recording}", data=echo.data, out=out, **given
    )


def repeats_of(record: Record) -> TaskRepeats:
    """What a record says of them."""
    found = record.tasks["echo"].repeats
    assert found is not None
    return found


def test_the_record_has_every_k_and_the_noise(echo: EchoBench, tmp_path: Path) -> None:
    record = run_of(echo, tmp_path / "runs", recording())
    found = repeats_of(record)
    assert (found.n, found.complete, found.k) == (4, True, [1, 2, 4])
    own = found.metrics["exact_match"]
    assert own.binary
    assert [at.k for at in own.at] == [1, 2, 3, 4]
    for at in own.at:
        some = [olmes.stats.pass_at_k(4, right, at.k) for right in RIGHT]
        every = [olmes.stats.pass_hat_k(4, right, at.k) for right in RIGHT]
        assert at.best.value == pytest.approx(statistics.fmean(some))
        assert at.worst.value == pytest.approx(statistics.fmean(every))
        # Clustered by item: the error of a mean over 12 numbers.
        assert at.best.n == at.worst.n == 12
        assert at.best.stderr == pytest.approx(statistics.stdev(some) / 12**0.5)
        assert at.worst.stderr == pytest.approx(statistics.stdev(every) / 12**0.5)
        assert at.majority is not None
    # Of 4: more than half right, half by equal chances.
    last = own.at[-1].majority
    assert last is not None
    assert last.value == pytest.approx((5 + 2 / 2) / 12)
    # avg@n is the score, and pass@1 and its like are it.
    score = record.value("echo")
    assert score == pytest.approx(sum(RIGHT) / 48)
    first = own.at[0]
    assert first.majority is not None
    assert [first.best.value, first.worst.value, first.majority.value] == pytest.approx([score] * 3)
    means = [sum(right > repeat for right in RIGHT) / 12 for repeat in range(4)]
    assert own.means == pytest.approx(means)
    assert own.sd == pytest.approx(statistics.stdev(means))


def test_one_response_an_item_says_nothing_of_repeats(echo: EchoBench, tmp_path: Path) -> None:
    rows = [row for row in recording() if row["repeat"] == 0]
    record = run_of(echo, tmp_path / "runs", rows, settings={})
    assert record.tasks["echo"].repeats is None
    assert record.to_json()["tasks"]["echo"]["repeats"] is None
    frame = olmes.load(record.folder)
    assert set(frame["metric"]) == {"exact_match", "length_match", "mean"}
    again = run_of(echo, tmp_path / "other", rows[:11] + rows[-1:], settings={})
    [task] = compare_runs(record, again).tasks
    assert task.noise is None


def test_what_failed_is_left_out_as_the_mean_leaves_it_and_marked(
    echo: EchoBench, tmp_path: Path
) -> None:
    rows = recording()
    rows[0] |= {"error": "the server went away", "finish": "error", "response": ""}
    rows[4]["response"] = "raise"  # breaks its scorer
    record = run_of(echo, tmp_path / "runs", rows)
    found = repeats_of(record)
    assert not found.complete
    own = found.metrics["exact_match"]
    # Two items have three responses with a value, of which all are right.
    assert [at.best.n for at in own.at] == [12, 12, 12, 10]
    assert own.at[2].worst.value == pytest.approx(
        statistics.fmean([1, 1, *(olmes.stats.pass_hat_k(4, right, 3) for right in RIGHT[2:])])
    )
    assert own.means[0] == pytest.approx(7 / 10)
    task = record.tasks["echo"]
    assert (task.counts["failed"], task.counts["crashed"], task.score.n) == (1, 1, 46)


def test_a_response_without_an_answer_has_no_vote(echo: EchoBench, tmp_path: Path) -> None:
    # One right, three without an answer: the one answer wins wherever it is taken.
    rows = recording((1,) * 12)
    for row in rows:
        row["response"] = row["response"].replace("wrong", "")
    at = repeats_of(run_of(echo, tmp_path / "runs", rows)).metrics["exact_match"].at
    found = [one.majority.value for one in at if one.majority]
    assert found == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1.0])


def test_a_thought_that_never_ended_is_no_vote_and_no_point(
    echo: EchoBench, tmp_path: Path
) -> None:
    rows = recording((2,) * 12)
    for row in rows:
        if row["response"] == "wrong":
            row |= {"response": f"<think>word{row['doc_id']}", "finish": "length"}
    record = run_of(echo, tmp_path / "runs", rows)
    found = repeats_of(record).metrics["exact_match"].at[-1]
    assert record.tasks["echo"].counts["unfinished_thinking"] == 24
    assert found.majority is not None
    assert (found.best.value, found.worst.value, found.majority.value) == (1.0, 0.0, 1.0)


def rows_of(values: list[Any], extracted: list[Any], **fields: Any) -> list[Any]:
    """Rows of one item, a response each."""
    return [
        response_row(values={"m": value}, extracted=answer, repeat=repeat, **fields)
        for repeat, (value, answer) in enumerate(zip(values, extracted, strict=True))
    ]


def test_values_that_are_neither_right_nor_wrong_have_a_best_and_a_worst() -> None:
    task = load_task("gsm8k")
    rows = [
        {**row, "values": {"exact_match": value}}
        for row, value in zip(rows_of([0, 0, 0], ["1", "2", "2"]), (0.2, 0.5, 0.9), strict=True)
    ]
    found = task_numbers(task, rows).repeats  # type: ignore[arg-type]
    assert found is not None
    own = found.metrics["exact_match"]
    assert not own.binary
    assert own.at[-1].best.value == pytest.approx(0.9)
    assert own.at[-1].worst.value == pytest.approx(0.2)
    assert own.at[1].best.value == pytest.approx((0.5 + 0.9 + 0.9) / 3)
    majority = own.at[-1].majority
    assert majority is not None
    assert majority.value == pytest.approx(0.7)


def test_parts_are_right_in_one_or_all_of_k_and_have_no_majority() -> None:
    task = load_task("ifeval")
    both = [[True, False], [True, True], [False, False]]
    rows = [
        response_row(
            values={"prompt_level_loose": float(all(parts)), "inst_level_loose": parts},
            repeat=repeat,
        )
        for repeat, parts in enumerate(both)
    ]
    found = task_numbers(task, rows).repeats
    assert found is not None
    parts = found.metrics["inst_level_loose"].at[-1]
    assert (parts.best.value, parts.worst.value, parts.best.n) == (1.0, 0.0, 2)
    two = found.metrics["inst_level_loose"].at[1]
    assert two.best.value == pytest.approx((1 + 2 / 3) / 2)
    assert all(at.majority is None for one in found.metrics.values() for at in one.at)


@pytest.mark.parametrize(
    ("task", "first", "second", "alike"),
    [
        ("gsm8k", "18", "18.00", True),
        ("gsm8k", "18", "19", False),
        ("gsm8k", "0.5", ".5", True),
        ("math", [r"\frac12"], ["0.5"], True),
        ("math", ["3", "4"], ["3"], True),
        ("math", ["3"], ["4"], False),
        ("deepmind_math", "x + 1", "x+1", True),
        ("deepmind_math", "True", "true", True),
        ("deepmind_math", "1", "2", False),
        ("agieval", "A", "A", True),
        ("agieval", "A", "B", False),
        ("ifeval", ["a", "b"], ["a", "b"], True),
    ],
)
def test_which_answers_are_one(task: str, first: Any, second: Any, alike: bool) -> None:
    votes = [load_task(task).vote(one) for one in (first, second)]
    assert None not in votes
    assert (votes[0] == votes[1]) == alike


@pytest.mark.parametrize("task", ["gsm8k", "math", "deepmind_math", "agieval", "ifeval"])
def test_no_answer_is_no_vote_and_no_text_breaks_it(task: str) -> None:
    found = load_task(task)
    assert found.vote(None) is None
    for odd in ("", "  ", "1/0", "9" * 10_000, "\ud800", [], [""], {"a": 1}, 7):
        found.vote(odd)


def test_k_is_chosen_and_a_finished_run_shows_another(echo: EchoBench, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    record = run_of(echo, out, recording(), k=(1, 3))
    assert repeats_of(record).k == [1, 3]
    again = run_of(echo, out, recording(), k=(2,))
    assert again.folder == record.folder
    assert repeats_of(again).k == repeats_of(Record.load(record.folder)).k == [2]
    # Nothing else of it changed.
    assert repeats_of(again).metrics == repeats_of(record).metrics
    with pytest.raises(OlmesError, match="--k 5: an item has 4 responses, so k is from 1 to 4"):
        run_of(echo, out, recording(), k=(5,))
    with pytest.raises(OlmesError, match="--k 2: an item has 1 response"):
        run_of(echo, out, recording(), k=(2,), settings={})


def invoke(command: Any, *words: object) -> str:
    """What a command prints."""
    done = CliRunner(env={"COLUMNS": "80"}).invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_prints_them(echo: EchoBench, tmp_path: Path) -> None:
    echo.record(recording())
    words = ["--task", echo.task, "--model", f"replay:{echo.recording}", "--data", echo.data]
    words += ["--out", tmp_path / "runs", "--repeats", "4"]
    said = invoke(run_command, *words, "--k", "1,4")
    for name, value in (("pass@4", "75.0"), ("pass^4", "25.0"), ("maj@4", "50.0")):
        assert any(name in line and value in line for line in said.splitlines())
    assert "pass@2" not in said
    assert "run to run" in said
    refused = CliRunner().invoke(run_command, [*map(str, words), "--k", "one"])
    assert isinstance(refused.exception, OlmesError)
    assert "write whole numbers" in str(refused.exception)


def test_recorded_responses_are_scored_alike(echo: EchoBench) -> None:
    rows = recording()
    for row in rows:
        del row["repeat"]  # other programs' rows do not say which response they are
    echo.record(rows)
    words = [echo.recording, "--task", echo.task, "--data", echo.data]
    said = json.loads(invoke(score_command, *words, "--json"))
    own = said["repeats"]["metrics"]["exact_match"]
    assert said["repeats"]["n"] == len(own["means"]) == 4
    assert own["at"][3]["best"]["value"] == pytest.approx(9 / 12)
    assert "pass^4" in invoke(score_command, *words)


@pytest.fixture
def two(echo: EchoBench, tmp_path: Path) -> tuple[Record, Record]:
    """Two runs of several responses an item."""
    one = run_of(echo, tmp_path / "runs", recording())
    other = run_of(echo, tmp_path / "runs", recording((4,) * 9 + (1, 1, 1)))
    return one, other


def test_the_noise_stands_beside_a_difference(two: tuple[Record, Record], tmp_path: Path) -> None:
    [task] = compare_runs(*two).tasks
    sds = [repeats_of(record).metrics["exact_match"].sd for record in two]
    assert task.noise is not None
    assert [task.noise.a, task.noise.b] == sds
    assert None not in sds
    assert task.noise.difference == pytest.approx(sum(sd**2 / 4 for sd in sds if sd) ** 0.5)
    page = tmp_path / "compare.html"
    said = invoke(compare_command, *(record.folder for record in two), "-o", page)
    for text in (" ".join(said.split()), page.read_text("utf-8")):
        assert "from run to run on the same items one response an item moves A by" in text
        assert "the difference of their means by" in text


def test_one_run_alone_with_repeats_says_what_is_not_known(
    two: tuple[Record, Record], echo: EchoBench, tmp_path: Path
) -> None:
    rows = [row for row in recording() if row["repeat"] == 0]
    single = run_of(echo, tmp_path / "single", rows, settings={})
    [task] = compare_runs(single, two[0], force=True).tasks
    assert task.noise is not None
    assert (task.noise.a, task.noise.difference) == (None, None)
    said = invoke(compare_command, single.folder, two[0].folder, "--force")
    assert "A has one response an item" in " ".join(said.split())


def test_every_page_table_and_frame_has_them(two: tuple[Record, Record], tmp_path: Path) -> None:
    runs = two[0].folder.parent
    invoke(report_command, two[0].folder, "-o", tmp_path / "run.html")
    write_leaderboard_page(two, tmp_path / "board.html")
    texts = {
        "run": (tmp_path / "run.html").read_text("utf-8"),
        "md": invoke(report_command, runs, "--format", "md"),
        "latex": invoke(report_command, runs, "--format", "latex"),
        "csv": invoke(report_command, runs, "--format", "csv"),
        "json": invoke(report_command, runs, "--format", "json"),
    }
    for place, text in texts.items():
        assert "maj@" in text, place
    frame = olmes.load(runs).set_index(["run", "metric"])
    name = two[0].id
    assert frame.loc[(name, "exact_match/pass@4"), "value"] == pytest.approx(9 / 12)
    assert frame.loc[(name, "exact_match/run_sd"), "n"] == 4
    assert not frame.loc[(name, "exact_match/pass@4"), "primary"]


def test_a_page_of_checkpoints_has_the_noise(two: tuple[Record, Record], tmp_path: Path) -> None:
    page = write_checkpoints_page([(10.0, two[0]), (20.0, two[1])], tmp_path / "page.html")
    sd = repeats_of(two[0]).metrics["exact_match"].sd
    assert f"run to run {shown(sd, 'share')}" in page.read_text("utf-8")


class Greedy(Model):
    """Says one thing."""

    name = "one"
    fingerprint = "ab" * 32
    engine: dict[str, Any] = {"backend": "one"}  # noqa: RUF012

    def encode(self, request: Request) -> EncodedPrompt:
        return EncodedPrompt(text=request.messages[-1]["content"], token_ids=())

    def generate(self, requests: list[Request], done: Done) -> None:  # type: ignore[override]
        for at in range(len(requests)):
            done(at, Response(text="word1"))

    def loglikelihood(self, requests: Any, done: Done) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("alike", "settings", "told"),
    [
        (True, {"echo.n": 2}, True),
        (True, {"*.n": 2}, True),
        (True, {"echo.n": 2, "echo.temperature": 0.6}, False),
        (True, {}, False),
        (False, {"echo.n": 2}, False),
    ],
)
def test_equal_repeats_of_an_engine_of_ours_are_told(
    echo: EchoBench, tmp_path: Path, alike: bool, settings: dict[str, Any], told: bool
) -> None:
    model = Greedy()
    model.greedy_alike = alike
    record = evaluate(
        str(echo.task), model=model, data=echo.data, out=tmp_path / "runs", settings=settings,
        use_cache=False, scoring_processes=1,
    )  # fmt: skip
    said = [line for line in record.run.warnings if "are all the same" in line]
    assert bool(said) == told
    if told:
        assert "--temperature" in said[0]
        assert repeats_of(record).metrics["exact_match"].sd == 0


def test_boards_and_the_server_have_them(two: tuple[Record, Record]) -> None:
    boards = leaderboard(two)["boards"]
    runs = [run for board in boards for run in board["runs"]]
    assert {run["id"] for run in runs} <= {record.id for record in two}
    for run in runs:
        found = run["repeats"]["echo"]
        assert found["responses"] == 4
        assert {one["name"] for one in found["readings"]} >= {"pass@4", "pass^4", "maj@4"}
