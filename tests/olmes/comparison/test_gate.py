"""The gate: who passes, who fails, what is neither, and the exit status that a script goes by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from olmes import OlmesError, Record
from olmes.cli import main
from olmes.comparison.gate import GatedScore, GateResult, gate
from olmes.comparison.policy import Allowance, Policy
from olmes.reports.run_page import write_run_page
from olmes.stats import compare
from olmes.stats.intervals import at_level
from olmes.tools import jsonl
from tests.factories import data_json, response_row, run_json, score_json, task_json, written
from tests.known import known

N = 400


def record(
    folder: Path, tasks: Mapping[str, Sequence[float]], unit: str = "share", **fields: Any
) -> Record:
    """A run with samples: by task, the value of each item; numbers are of what less is better."""
    made = {}
    for name, values in tasks.items():
        jsonl.write(folder / f"samples/{name}.jsonl", [
            response_row(doc_id=at, doc_hash=f"{at:08x}", values={"right": value})
            for at, value in enumerate(values)
        ])  # fmt: skip
        score = score_json(sum(values) / len(values), n=len(values)) | {"unit": unit}
        score["higher_is_better"] = unit == "share"
        made[name] = task_json(
            primary="right", metrics={"right": score}, n=len(values), items=len(values),
            samples=f"samples/{name}.jsonl", data=data_json(n=N),
        ) | fields.pop(name, {})  # fmt: skip
    return written(folder, run_json(made, id=folder.name, **fields))


def flipped(values: Sequence[float], lost: int, won: int = 0) -> list[float]:
    """The values of another run: so many right items wrong now, and so many wrong ones right."""
    changed = list(values)
    right = [at for at, value in enumerate(values) if value]
    wrong = [at for at, value in enumerate(values) if not value]
    for at in right[:lost]:
        changed[at] = 0.0
    for at in wrong[:won]:
        changed[at] = 1.0
    return changed


HALF = [float(at % 2) for at in range(N)]


def gated(
    tmp_path: Path, lost: int, won: int = 0, policy: Policy | None = None, **tasks: Sequence[float]
) -> GateResult:
    a = record(tmp_path / "a", {"gsm8k": HALF, **dict.fromkeys(tasks, HALF)})
    b = record(tmp_path / "b", {"gsm8k": flipped(HALF, lost, won), **tasks})
    return gate(a, b, policy)


def score(result: GateResult, name: str = "gsm8k") -> GatedScore:
    return {one.name: one for one in result.scores}[name]


WIDE = Policy(margin=5.0)


def test_what_is_no_worse_by_more_than_the_margin_passes(tmp_path: Path) -> None:
    result = gated(tmp_path, lost=8, won=6, policy=WIDE)
    found = score(result)
    assert (result.outcome, result.exit_status) == ("pass", 0)
    assert found.difference == pytest.approx(-2 / N)
    assert known(found.ci_low) > -0.05
    assert found.allowed == 0.05
    assert found.required


def test_what_is_worse_by_more_than_the_margin_fails(tmp_path: Path) -> None:
    result = gated(tmp_path, lost=60, policy=WIDE)
    assert (result.outcome, result.exit_status) == ("fail", 1)
    assert score(result).reason == "worse by more than the margin"


def test_what_is_worse_beyond_chance_but_within_the_margin_passes(tmp_path: Path) -> None:
    """The question is whether it is worse by more than is allowed, not whether it is worse."""
    result = gated(tmp_path, lost=8, policy=WIDE)
    found = score(result)
    assert known(found.ci_high) < 0
    assert result.outcome == "pass"


def test_between_the_two_nothing_is_shown_and_it_says_how_many_items_would(tmp_path: Path) -> None:
    result = gated(tmp_path, lost=30, won=26, policy=Policy(margin=2.0))
    assert (result.outcome, result.exit_status) == ("inconclusive", 3)
    found = score(result)
    assert found.reason == "too few items to tell"
    assert known(found.needed) > N
    # Worse by just the margin as measured: no number of items would show a pass.
    at_the_margin = gated(tmp_path, lost=28, won=20, policy=Policy(margin=2.0))
    assert score(at_the_margin).needed is None


def test_one_task_that_fails_fails_the_gate_and_every_one_must_pass(tmp_path: Path) -> None:
    passing, failing = flipped(HALF, 4, 4), flipped(HALF, 100)
    assert gated(tmp_path, 4, 4, WIDE, ifeval=passing).outcome == "pass"
    assert gated(tmp_path, 4, 4, WIDE, ifeval=failing).outcome == "fail"
    one = gated(tmp_path, 4, 4, WIDE, ifeval=flipped(HALF, 60, 50))
    assert [found.outcome for found in one.scores] == ["pass", "inconclusive", "pass"]
    assert one.outcome == "inconclusive"


def test_the_mean_is_judged_beside_the_tasks(tmp_path: Path) -> None:
    """Each of two tasks within its margin, the mean not within a smaller one of its own."""
    policy = Policy(margin=12.0, mean=Allowance(margin=1.0))
    result = gated(tmp_path, 20, 0, policy, ifeval=flipped(HALF, 20))
    assert [found.name for found in result.scores] == ["gsm8k", "ifeval", "mean"]
    assert [found.outcome for found in result.scores] == ["pass", "pass", "fail"]
    assert result.outcome == "fail"
    ignored = Policy(margin=12.0, ignore=("mean",))
    assert gated(tmp_path, 20, 0, ignored, ifeval=flipped(HALF, 20)).outcome == "pass"


def test_a_fail_is_corrected_for_how_many_could_have_failed(tmp_path: Path) -> None:
    """Just below the margin alone; among twenty tasks so much is seen by chance."""
    lost = flipped(HALF, 38)
    assert gated(tmp_path, 38, 0, WIDE).outcome == "fail"
    many = {f"task{at}": HALF for at in range(19)}
    result = gated(tmp_path, 38, 0, WIDE, **many)
    assert score(result).outcome == "inconclusive"
    assert known(score(result).ci_high) < -0.05
    assert len(lost) == N


def test_a_required_task_that_is_missing_is_no_pass(tmp_path: Path) -> None:
    a = record(tmp_path / "a", {"gsm8k": HALF, "ifeval": HALF})
    b = record(tmp_path / "b", {"gsm8k": HALF})
    result = gate(a, b, WIDE)
    assert result.outcome == "inconclusive"
    assert score(result, "ifeval").reason == "the candidate has no such task"
    assert gate(a, b, Policy(margin=5.0, required=("gsm8k",))).outcome == "pass"
    assert gate(a, b, Policy(margin=5.0, ignore=("ifeval",))).outcome == "pass"
    nothing = gate(a, b, Policy(required=(), ignore=("gsm8k", "ifeval")))
    assert nothing.outcome == "inconclusive"
    assert gate(b, a, Policy(margin=5.0, required=("math",))).outcome == "inconclusive"


def test_other_formulations_and_other_data_are_not_compared(tmp_path: Path) -> None:
    a = record(tmp_path / "a", {"gsm8k": HALF, "ifeval": HALF})
    b = record(
        tmp_path / "b", {"gsm8k": HALF, "ifeval": HALF}, gsm8k={"formulation_hash": "ff" * 8}
    )
    result = gate(a, b, WIDE)
    assert result.outcome == "inconclusive"
    assert score(result).reason == "not comparable: the formulations differ"
    loose = gate(a, b, Policy(margin=5.0, required=("ifeval",)))
    assert loose.outcome == "pass"
    assert loose.notes == ["gsm8k is not judged: the formulations differ"]


def test_a_limited_run_is_held_against_a_full_one_on_the_items_of_both(tmp_path: Path) -> None:
    a = record(tmp_path / "a", {"gsm8k": HALF})
    b = record(tmp_path / "b", {"gsm8k": HALF[:100]}, limit=100)
    result = gate(a, b, Policy(margin=10.0))
    assert result.outcome == "pass"
    assert score(result).n == 100
    assert "on the 100 items of both; 300 only in A, 0 only in B" in score(result).notes
    assert any("limited" in note for note in score(result).notes)


def test_an_incomplete_task_does_not_pass(tmp_path: Path) -> None:
    """The answers that are missing may be the wrong ones."""
    counts = dict.fromkeys(task_json()["counts"], 0) | {"crashed": 50}
    a = record(tmp_path / "a", {"gsm8k": HALF})
    b = record(tmp_path / "b", {"gsm8k": HALF}, gsm8k={"counts": counts})
    result = gate(a, b, WIDE)
    assert result.outcome == "inconclusive"
    assert "have no score" in score(result).reason


def test_numbers_have_a_margin_in_their_unit_and_a_direction(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    before = (2 + 0.5 * draw.standard_normal(N)).tolist()
    better = (np.array(before) - 0.2 + 0.05 * draw.standard_normal(N)).tolist()
    a = record(tmp_path / "a", {"loss": before}, unit="number")
    b = record(tmp_path / "b", {"loss": better}, unit="number")
    assert gate(a, b).outcome == "pass"  # better is no worse by any margin
    unsaid = gate(b, a)
    assert unsaid.outcome == "inconclusive"
    assert "add [tasks.loss]" in score(unsaid, "loss").reason
    policy = Policy(tasks={"loss": Allowance(margin=0.05)})
    assert gate(a, b, policy).outcome == "pass"
    assert gate(b, a, policy).outcome == "fail"
    relative = Policy(tasks={"loss": Allowance(relative=0.2)})
    found = score(gate(b, a, relative), "loss")
    assert found.allowed == pytest.approx(0.2 * known(found.baseline))
    assert found.outcome == "pass"


def test_one_item_is_no_evidence(tmp_path: Path) -> None:
    a, b = record(tmp_path / "a", {"gsm8k": [1.0]}), record(tmp_path / "b", {"gsm8k": [1.0]})
    assert gate(a, b, Policy(margin=50.0)).outcome == "inconclusive"


def test_without_samples_the_scores_are_compared(tmp_path: Path) -> None:
    a, b = record(tmp_path / "a", {"gsm8k": HALF}), record(tmp_path / "b", {"gsm8k": HALF})
    b.samples_path("gsm8k").unlink()
    result = gate(a, b, Policy(margin=5.0))
    assert result.outcome == "pass"
    assert "not paired: samples are missing" in score(result).notes
    assert gate(a, b, Policy(margin=2.0)).outcome == "inconclusive"


def test_another_level_is_that_of_students_t() -> None:
    from scipy.stats import ttest_1samp

    draw = np.random.default_rng(1)
    differences = draw.normal(0.1, 1, 12)
    found = compare([0.0] * 12, differences.tolist(), is_share=False)
    for alpha in (0.005, 0.05):
        wanted = ttest_1samp(differences, 0).confidence_interval(1 - 2 * alpha)
        assert at_level(found, alpha) == pytest.approx((wanted.low, wanted.high), rel=1e-3)
    assert at_level(found, 0.025) == (found.ci_low, found.ci_high)


def test_how_often_one_that_is_worse_by_the_margin_passes() -> None:
    """By simulation: the level is one-sided, at the margin itself."""
    draw, passed = np.random.default_rng(2), 0
    for _ in range(1_000):
        both = draw.random((300, 2))
        before = (both[:, 0] < 0.7).astype(float)
        after = np.where(draw.random(300) < 0.7, before, both[:, 1] < 0.7 - 0.05 / 0.3)
        found = compare(before.tolist(), after.astype(float).tolist())
        passed += known(found.ci_low) > -0.05
    assert 0.005 < passed / 1_000 < 0.04


def exit_status(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["gate", *arguments])
    return int(ended.value.code or 0)


def test_the_command_ends_with_a_status_and_leaves_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("margin = 5.0\n[tasks.gsm8k]\nmargin = 4\n")
    a = record(tmp_path / "a", {"gsm8k": HALF})
    worse = record(tmp_path / "worse", {"gsm8k": flipped(HALF, 60)})
    unclear = record(tmp_path / "unclear", {"gsm8k": flipped(HALF, 60, 50)})
    text = (worse.folder / "run.json").read_text()
    for run, status, word in ((a, 0, "PASS"), (worse, 1, "FAIL"), (unclear, 3, "INCONCLUSIVE")):
        assert exit_status(str(a.folder), str(run.folder), "--policy", str(policy)) == status
        assert word in capsys.readouterr().out
    [line] = jsonl.read(worse.folder / "gates.jsonl")
    assert line["outcome"] == "fail"
    assert (line["baseline"], line["policy"]) == ("a", str(policy))
    assert line["scores"] == {"gsm8k": "fail"}
    assert (worse.folder / "run.json").read_text() == text
    page = write_run_page(worse.folder, tmp_path / "page.html").read_text()
    assert f"fail (gsm8k) against a by {policy}, " in page
    arguments = [str(a.folder), str(worse.folder), "--json", "--no-record"]
    assert exit_status(*arguments) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["outcome"] == "fail"
    assert printed["exit_status"] == 1
    assert printed["scores"][0]["allowed"] == 0.01
    assert len(list(jsonl.read(worse.folder / "gates.jsonl"))) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("margn = 1", "unknown key 'margn'; did you mean 'margin'"),
        ("margin = -1.0", "margin is 0 or more, not -1"),
        ("[tasks.gsm8k]\nmargin = -0.5", "tasks.gsm8k: margin is 0 or more, not -0.5"),
        ("[tasks.gsm8k]\nmargin = 1\nrelative = 0.1", "give margin or relative, not both"),
        ("[tasks.gsm8k]\nmax_drop = 1", "unknown key 'tasks.gsm8k.max_drop'"),
        ("[tasks]\ngsm8k = 1.0", "write { margin = ... } or { relative = ... }"),
        ("alpha = 0.7", "alpha lies between 0 and 0.5"),
        ('required = "gsm8k"', "'required' must be a list of texts"),
        ('required = ["gsm8k"]\nignore = ["gsm8k"]', "gsm8k is required and ignored"),
        ("margin = ", "is not TOML"),
    ],
)
def test_a_fault_in_a_policy_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(OlmesError) as raised:
        Policy.read(path)
    assert words in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_task_that_neither_run_has_is_named(tmp_path: Path) -> None:
    policy = Policy(tasks={"gsm9k": Allowance(margin=1.0)})
    with pytest.raises(
        OlmesError, match="names 'gsm9k', a task of neither run; did you mean 'gsm8k'"
    ):
        gated(tmp_path, 0, policy=policy)
    with pytest.raises(OlmesError, match="does not exist"):
        Policy.read(tmp_path / "nowhere.toml")
