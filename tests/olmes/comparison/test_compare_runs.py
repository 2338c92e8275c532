"""Two runs held against each other: why they differ, by how much, and what is refused."""

from __future__ import annotations

import dataclasses
import gzip
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from scipy.stats import binomtest

from olmes import Record, evaluate
from olmes.cli.compare import command as compare_command
from olmes.comparison.best import shared_by_task
from olmes.comparison.compare import Comparison, RefusedTask, compare_runs
from olmes.comparison.items import SharedItems
from olmes.comparison.pairs import pairwise
from olmes.comparison.power_words import power_words
from olmes.reports.comparison_page import write_comparison_page
from olmes.seal.look import Look
from olmes.seal.sealing import unseal
from olmes.tools.as_json import as_json
from olmes.tools.hashing import content_hash
from tests.factories import response_row, run_json, score_json, task_json, with_fields, written
from tests.known import known

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

N = 12
SCORE_FIRST = """\
    def score_first(self, doc: Doc, response: Response) -> Verdict:
        return Verdict(values={"first_letter": float(response.text[:1] == doc["word"][:1])})
"""


def run(
    echo: EchoBench, tmp_path: Path, right: set[int], *, name: str = "a", **options: Any
) -> Record:
    """A run that is right on some of the echo task's items."""
    recording = tmp_path / f"{name}.jsonl"
    recording.write_text(
        "".join(
            json.dumps({"response": f"word{i}" if i in right else "no", "doc_id": i}) + "\n"
            for i in range(N)
        )
    )
    return evaluate(
        options.pop("target", str(echo.task)),
        model=f"replay:{recording}",
        data=echo.data,
        out=tmp_path / "runs",
        scoring_processes=1,
        **options,
    )


def kinds(found: Comparison) -> set[str]:
    return {cause.kind for cause in found.why}


def test_the_difference_is_paired_and_exact(echo: EchoBench, tmp_path: Path) -> None:
    a = run(echo, tmp_path, set(range(4)))
    b = run(echo, tmp_path, set(range(1, 12)), name="b")
    found = compare_runs(a, b)
    [task] = found.tasks
    difference = known(task.difference)
    assert difference.difference == pytest.approx(7 / N)
    assert (difference.wins, difference.losses) == (8, 1)
    assert difference.p_value == pytest.approx(binomtest(1, 9).pvalue)
    assert difference.verdict == "better"
    per_item = [1] * 8 + [-1] + [0] * 3
    mean = sum(per_item) / N
    spread = math.sqrt(sum((d - mean) ** 2 for d in per_item) / (N - 1) / N)
    assert difference.stderr == pytest.approx(spread)
    assert kinds(found) == {"model"}


def test_flips_are_listed_with_both_responses_gains_first(echo: EchoBench, tmp_path: Path) -> None:
    found = compare_runs(
        run(echo, tmp_path, {0, 1, 2}), run(echo, tmp_path, {1, 2, 3, 4}, name="b")
    )
    flips = found.tasks[0].flips
    assert [(flip.doc_id, flip.a, flip.b) for flip in flips] == [
        (3, 0.0, 1.0),
        (4, 0.0, 1.0),
        (0, 1.0, 0.0),
    ]
    assert known(flips[0].row_a["response"])["text"] == "no"
    assert known(flips[0].row_b["response"])["text"] == "word3"


def test_one_win_alone_is_not_enough_data(echo: EchoBench, tmp_path: Path) -> None:
    found = compare_runs(run(echo, tmp_path, {0}), run(echo, tmp_path, {0, 1}, name="b"))
    assert known(found.tasks[0].difference).p_value == 1
    assert known(found.tasks[0].difference).verdict == "not enough data"


def test_not_enough_data_says_what_would_be(echo: EchoBench, tmp_path: Path) -> None:
    few = compare_runs(run(echo, tmp_path, {0}), run(echo, tmp_path, {0, 1}, name="b"))
    difference = known(few.tasks[0].difference)
    assert 0.3 < known(difference.detectable) < 1
    assert known(difference.needed) > N
    words = power_words(difference)
    shown = 100 * known(difference.detectable)
    assert words.startswith(f"12 items show a difference of {shown:.1f} ")
    assert words.endswith(f"one of 8.3 needs about {difference.needed:,}")
    wide = dataclasses.replace(difference, n=1, difference=0.0, ci_low=-0.9, ci_high=0.9)
    assert known(wide.detectable) >= 1
    assert wide.needed is None
    no_interval = dataclasses.replace(difference, n=1, ci_low=None, ci_high=None)
    for none in (wide, no_interval):
        assert power_words(none) == "too few items (1) to show any difference"


def test_runs_without_a_common_task_are_not_compared(echo: EchoBench, tmp_path: Path) -> None:
    a, b = run(echo, tmp_path, {0}), run(echo, tmp_path, {1}, name="b")
    path = b.folder / "run.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"tasks": {"other": data["tasks"]["echo"]}}))
    done = CliRunner().invoke(
        compare_command, [str(a.folder), str(b.folder)], standalone_mode=False
    )
    assert done.return_value == 1
    assert "nothing to compare: no task is in both runs" in done.output
    assert "only B has other" in done.output


def test_equal_runs_differ_in_nothing(echo: EchoBench, tmp_path: Path) -> None:
    a = run(echo, tmp_path, {0, 1})
    found = compare_runs(a, a)
    assert found.why == []
    assert known(found.tasks[0].difference).difference == 0


def test_another_formulation_is_refused_and_named(echo: EchoBench, tmp_path: Path) -> None:
    a = run(echo, tmp_path, {0, 1})
    b = run(echo, tmp_path, {0, 1}, settings={"echo.question": "Please say {word}."})
    found = compare_runs(a, b)
    assert found.tasks == []
    assert found.refused == [
        RefusedTask(name="echo", title="Echo", reasons=["the formulations differ"])
    ]
    [cause] = [cause for cause in found.why if cause.kind == "formulation"]
    assert (cause.field, cause.a, cause.b) == (
        "question",
        "Say {word}.",
        "Please say {word}.",
    )
    forced = compare_runs(a, b, force=True)
    assert forced.tasks[0].mismatch == ["the formulations differ"]
    assert known(forced.tasks[0].difference).verdict == "not enough data"


def test_other_data_are_refused(echo: EchoBench, tmp_path: Path) -> None:
    a = run(echo, tmp_path, {0, 1})
    path = echo.data / "echo/test.jsonl"
    path.write_text(path.read_text("utf-8").replace("word11", "other11"), "utf-8")
    b = run(echo, tmp_path, {0, 1}, name="b")
    found = compare_runs(a, b)
    assert found.refused[0].reasons == ["the data differ"]
    # Forced, the items that are the same in both are compared, and no others.
    forced = compare_runs(a, b, force=True).tasks[0]
    assert (forced.n, forced.only_a, forced.only_b) == (11, 1, 1)


def test_a_limited_run_is_compared_on_the_items_of_both(echo: EchoBench, tmp_path: Path) -> None:
    a = run(echo, tmp_path, set(range(N)))
    b = run(echo, tmp_path, set(), name="b", limit=5)
    found = compare_runs(a, b)
    task = found.tasks[0]
    assert (task.n, task.only_a, task.only_b) == (5, 7, 0)
    assert known(task.difference).baseline == 1
    assert known(task.difference).candidate == 0
    assert "limit" in kinds(found)


def test_tasks_of_one_run_alone_are_named(echo: EchoBench, tmp_path: Path) -> None:
    other = tmp_path / "other_echo.py"
    text = echo.task.read_text("utf-8").replace('name = "echo"', 'name = "other"')
    other.write_text(text, "utf-8")
    found = compare_runs(
        run(echo, tmp_path, {0}), run(echo, tmp_path, {0}, name="b", target=str(other))
    )
    assert found.only == [["echo"], ["other"]]
    assert found.suite is None


def exams(echo: EchoBench, folder: Path) -> tuple[Record, Record]:
    """Two runs under seal, of 2 and of 4 right answers."""
    suite = folder / "exam.toml"
    suite.write_text(f'name = "exam"\ntasks = ["{echo.task}"]\nheld_out = true\n', "utf-8")
    look = Look(reason="final")
    return (
        run(echo, folder, {0, 1}, target=str(suite), look=look),
        run(echo, folder, {0, 1, 2, 3}, name="b", target=str(suite), look=look),
    )


def test_runs_under_seal_are_paired_and_no_item_is_shown(echo: EchoBench, tmp_path: Path) -> None:
    a, b = exams(echo, tmp_path)
    found = compare_runs(a, b)
    assert found.unpaired == []
    [task] = found.tasks
    sealed = known(task.difference)
    assert (task.sealed, task.flips) == (True, [])
    assert (sealed.wins, sealed.losses, sealed.n) == (2, 0, N)
    page = write_comparison_page(found, tmp_path / "page.html").read_text("utf-8")
    assert "no item is shown" in page
    assert not any(f"word{i}" in page or f"word{i}" in str(as_json(found)) for i in range(4))
    # Opened, the same pair gives the same number, and its items.
    for record in (a, b):
        unseal(record.folder, "test")
    [opened] = compare_runs(a, b).tasks
    assert opened.difference == sealed
    assert len(opened.flips) == 2


def test_a_sealed_file_that_was_changed_is_not_paired(echo: EchoBench, tmp_path: Path) -> None:
    a, b = exams(echo, tmp_path)
    with gzip.open(b.folder / b.run.sealed["echo"].file, "ab") as stream:
        stream.write(b"\n")
    found = compare_runs(a, Record.load(b.folder))
    assert found.tasks == []
    [task] = found.unpaired
    assert known(task.difference).value == pytest.approx(2 / N)
    assert "samples of b are missing" in pairwise([a, Record.load(b.folder)]).why_not


def test_p_values_are_corrected_over_the_tasks(echo: EchoBench, tmp_path: Path) -> None:
    others = []
    for name in ("second", "third"):
        path = tmp_path / f"{name}_task.py"
        text = echo.task.read_text("utf-8").replace('name = "echo"', f'name = "{name}"')
        path.write_text(text, "utf-8")
        others.append(str(path))
    suite = tmp_path / "three.toml"
    suite.write_text(f"tasks = {json.dumps([str(echo.task), *others])}\n", "utf-8")
    records = []
    for name, right in (("a", range(3)), ("b", range(12))):
        recording = tmp_path / f"{name}.jsonl"
        recording.write_text(
            "".join(
                json.dumps(
                    {"task": task, "doc_id": i, "response": f"word{i}" if i in right else "no"}
                )
                + "\n"
                for task in ("echo", "second", "third")
                for i in range(N)
            )
        )
        records.append(
            evaluate(
                str(suite),
                model=f"replay:{recording}",
                data=echo.data,
                out=tmp_path,
                scoring_processes=1,
            )
        )
    found = compare_runs(*records)
    alone = binomtest(0, 9).pvalue
    assert [known(task.difference).p_value for task in found.tasks] == [pytest.approx(alone)] * 3
    assert known(found.tasks[0].difference).p_adjusted == pytest.approx(3 * alone)
    assert known(found.suite).tasks == ["echo", "second", "third"]
    assert known(found.suite).difference.value == pytest.approx(0.75)


# --- why ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        (("model", "engine", "dtype"), "bfloat16", "precision"),
        (("model", "engine", "backend"), "vllm", "backend"),
        (("model", "engine", "transformers"), "5.0.0", "backend"),
        (("environment", "packages", "sympy"), "1.0", "package"),
        (("environment", "hardware", "cpu"), "another", "hardware"),
        (("olmes", "git_commit"), "another", "olmes"),
        (("tasks", "echo", "scorer_hash"), "0" * 16, "scorer"),
        (("tasks", "echo", "data", "origin"), "hub", "data"),
        (("tasks", "echo", "formulation", "generation", "max_tokens"), 5, "formulation"),
    ],
)
def test_each_thing_that_can_change_a_number_is_named(
    echo: EchoBench, tmp_path: Path, path: tuple[str, ...], value: int | str, kind: str
) -> None:
    a = run(echo, tmp_path, {0})
    found = compare_runs(a, with_fields(a, {path: value}))
    assert kinds(found) == {kind}
    assert found.why[0].field.endswith(path[-1])
    assert found.why[0].b == str(value)


def test_a_further_metric_leaves_runs_comparable_and_is_named(
    echo: EchoBench, tmp_path: Path
) -> None:
    more = tmp_path / "more_metrics.py"
    length = 'Metric(name="length_match", help="as many letters"),'
    source = (
        echo.task.read_text("utf-8")
        .replace(length, f'{length} Metric(name="first_letter", help="its first letter"),')
        .replace('"score_length")', '"score_length", "score_first")')
        .replace("    def perfect_response", f"{SCORE_FIRST}\n    def perfect_response")
    )
    more.write_text(source, "utf-8")
    a = run(echo, tmp_path, {0, 1})
    b = run(echo, tmp_path, {0, 1, 2}, target=str(more), name="b")
    assert b.tasks["echo"].metrics["first_letter"].value == pytest.approx(3 / N)
    assert a.tasks["echo"].formulation_hash == b.tasks["echo"].formulation_hash
    for one, other in ((a, b), (b, a)):
        found = compare_runs(one, other)
        assert found.refused == []
        [task] = found.tasks
        assert task.mismatch == []
        assert abs(known(task.difference).difference) == pytest.approx(1 / N)
        assert kinds(found) == {"metrics", "scorer", "model"}
    [cause] = [cause for cause in compare_runs(a, b).why if cause.kind == "metrics"]
    assert (cause.a, cause.b, cause.task) == (
        "exact_match, length_match",
        "exact_match, length_match, first_letter",
        "echo",
    )
    # Another primary metric is another number.
    other = with_fields(b, {"tasks.echo.primary": "length_match"})
    assert compare_runs(a, other).refused[0].reasons == ["the primary metrics differ"]


def test_chat_template_and_weights_are_told_apart(echo: EchoBench, tmp_path: Path) -> None:
    a = run(echo, tmp_path, {0})

    def with_parts(**parts: str) -> Record:
        fingerprint = content_hash(parts)
        parts = {"weights": "w", **parts}
        return with_fields(a, {"model.fingerprint": fingerprint, "model.parts": parts})

    one, other = with_parts(chat_template="x"), with_parts(chat_template="y")
    assert kinds(compare_runs(one, other)) == {"chat template"}
    other = with_parts(chat_template="x", weights="v")
    [cause] = compare_runs(one, other).why
    assert (cause.kind, cause.field) == ("model", "weights")


def words_run(folder: Path, values: list[float], unit: str, *, samples: bool = True) -> Record:
    """A run of a task that counts something; `unit` is what its values made of the metric."""
    rows = [
        response_row(doc_id=doc, doc_hash=f"{doc:08x}", values={"words": value})
        for doc, value in enumerate(values)
    ]
    path = folder / "samples/words.jsonl"
    path.parent.mkdir(parents=True)
    if samples:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    score = score_json(sum(values) / len(values), n=len(values)) | {"unit": unit}
    task = task_json(
        primary="words", metrics={"words": score}, n=len(values), samples="samples/words.jsonl"
    )
    return written(folder, run_json({"words": task}))


@pytest.mark.parametrize("samples", [True, False])
def test_a_metric_that_is_a_share_in_one_run_alone_is_compared_as_a_number(
    tmp_path: Path, *, samples: bool
) -> None:
    few, many = [0.0, 1.0] * 6, [3.0, 9.0, 4.0, 8.0] * 3
    for order in (0, 1):
        runs = [
            words_run(tmp_path / f"few-{order}", few, "share", samples=samples),
            words_run(tmp_path / f"many-{order}", many, "number", samples=samples),
        ][:: -1 if order else 1]
        found = compare_runs(*runs)
        [task] = found.tasks if samples else found.unpaired
        assert task.unit == "number"
        if samples:
            differences = [known(found.tasks[0].difference), pairwise(runs).differences[0, 1]]
            for one in differences:
                assert not one.is_share
                assert known(one.ci_low) < one.difference < known(one.ci_high)
                assert abs(one.difference) == 5.5
            assert not known(shared_by_task("words", runs, SharedItems())).is_share


def test_a_value_of_an_older_record_that_is_not_finite_is_none(
    echo: EchoBench, tmp_path: Path
) -> None:
    a, b = run(echo, tmp_path, {0, 1}), run(echo, tmp_path, {0, 1, 2}, name="b")
    path = b.samples_path("echo")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows[0]["values"]["exact_match"] = math.nan
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    [task] = compare_runs(a, b).tasks
    found = known(task.difference)
    assert (task.n, task.only_a) == (N - 1, 1)
    assert found.difference == pytest.approx(1 / (N - 1))
    assert known(pairwise([b, a]).differences)[0, 1].difference == pytest.approx(1 / (N - 1))
