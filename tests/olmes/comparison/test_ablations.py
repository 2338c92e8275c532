"""Ablations of a mixture: the table, the correction, and what is advised, on real records."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from olmes import Record, stats
from olmes.benchmark.suite import Pair
from olmes.comparison.ablations import MEAN, Variant, ablations
from olmes.comparison.mix_advice import Advice, advise
from olmes.comparison.mix_rounds import (
    MixReport,
    MixRound,
    advice_line,
    cell_of,
    notes_of,
    pair_table,
)
from olmes.export.mix_tables import mix_csv, mix_latex, mix_markdown
from olmes.reports.mix_page import write_mix_page
from tests.olmes.comparison.sampled import sampled

SOURCES = ("chats", "math", "code", "poison")
WEIGHTS = dict.fromkeys(SOURCES, 1.0)
Shares = Mapping[str, float]


def variants(*kinds: str) -> list[Variant]:
    """The full mix and its ablations."""
    made = [Variant(name="full mix", kind="full", rows=dict.fromkeys(SOURCES, 90))]
    if "leave_one_out" in kinds:
        made += [Variant(name=f"without {s}", kind="leave_one_out", source=s) for s in SOURCES]
    if "double_one" in kinds:
        made += [Variant(name=f"{s} doubled", kind="double_one", source=s) for s in SOURCES]
    return made


def trained(
    folder: Path,
    own: Sequence[Variant],
    shares: Mapping[str, Shares],
    *,
    seeds: int = 1,
    n: int = 300,
) -> list[list[Record]]:
    """A record a variant and seed: an item is right where it is no harder than the variant is good."""
    found = []
    for variant in own:
        records = []
        for seed in range(seeds):
            luck = Random(f"{variant.name}/{seed}")
            values = {
                task: [
                    float(Random(f"{task}/{at}").random() < share + luck.gauss(0, 0.04))
                    for at in range(n)
                ]
                for task, share in (shares.get(variant.name) or shares["all"]).items()
            }
            name = f"{variant.name}-{seed}".replace(" ", "-")
            records.append(sampled(folder / name, name, values))
        found.append(records)
    return found


def of(found: Sequence[Advice], source: str) -> Advice:
    return next(one for one in found if one.source == source)


@pytest.mark.parametrize("seeds", [1, 3])
def test_poison_is_found_and_nothing_else(tmp_path: Path, seeds: int) -> None:
    own = variants("leave_one_out", "double_one")
    shares = {
        "all": {"gsm8k": 0.5, "math": 0.3},
        "without poison": {"gsm8k": 0.65, "math": 0.45},
        "poison doubled": {"gsm8k": 0.35, "math": 0.15},
    }
    runs = trained(tmp_path, own, shares, seeds=seeds)
    found = ablations(own, runs)
    assert [column.name for column in found.columns] == [MEAN, "gsm8k", "math"]
    assert found.tests == 8 * 3
    advice = advise(found, WEIGHTS)
    assert [one.source for one in advice if one.changes] == ["poison"]
    poison = of(advice, "poison")
    assert poison.proposed == 0
    assert poison.reason.startswith("leaving out poison raises the mean by 1")
    assert "after Holm" in poison.reason
    assert poison.reason.endswith("weight 0")
    assert of(advice, "chats").reason.startswith("no evidence: keeps its weight of 1")
    # One number by hand: the difference of the mean over seeds, over the same items.
    row = next(row for row in found.rows if row.variant.name == "without poison")
    ours = [record.value("gsm8k") for record in runs[own.index(row.variant)]]
    full = [record.value("gsm8k") for record in runs[0]]
    assert row.differences["gsm8k"].difference == pytest.approx((sum(ours) - sum(full)) / seeds)
    assert ("one seed" in " ".join(notes_of(found))) == (seeds == 1)


def test_p_values_are_corrected_over_every_test_of_the_round(tmp_path: Path) -> None:
    own = variants("leave_one_out")
    shares = {"all": {"gsm8k": 0.5, "math": 0.4}, "without math": {"gsm8k": 0.56, "math": 0.4}}
    found = ablations(own, trained(tmp_path, own, shares))
    tests = [one for row in found.rows for one in row.differences.values()]
    assert len(tests) == found.tests == 12
    assert [one.p_adjusted for one in tests] == pytest.approx(
        stats.holm([one.p_value for one in tests])
    )


def test_one_seed_is_the_comparison_of_two_runs(tmp_path: Path) -> None:
    from olmes.comparison.compare import compare_runs

    own = variants("leave_one_out")
    runs = trained(tmp_path, own, {"all": {"gsm8k": 0.5}, "without code": {"gsm8k": 0.4}})
    found = ablations(own, runs)
    assert [column.name for column in found.columns] == [
        "gsm8k"
    ]  # the mean of one task is the task
    [task] = compare_runs(runs[0][0], runs[3][0]).tasks
    ours = found.rows[3].differences["gsm8k"]
    assert task.difference is not None
    assert (ours.difference, ours.ci_low, ours.p_value) == (
        task.difference.difference,
        task.difference.ci_low,
        task.difference.p_value,
    )


ALL = {"gsm8k": 0.5, "math": 0.5}
BETTER, WORSE = {"gsm8k": 0.7, "math": 0.7}, {"gsm8k": 0.3, "math": 0.3}
MIXED = {"gsm8k": 0.7, "math": 0.3}


@pytest.mark.parametrize(
    ("without", "doubled", "proposed", "said"),
    [
        (ALL, BETTER, 2.0, "weight 2"),
        (ALL, WORSE, 0.5, "weight 0.5"),
        (WORSE, ALL, 1.0, "leaving out code lowers"),
        (WORSE, BETTER, 2.0, "weight 2"),
        (WORSE, WORSE, 1.0, "keeps its weight of 1"),
        (BETTER, WORSE, 0.0, "weight 0"),
        (BETTER, BETTER, 1.0, "yours to decide"),
        (MIXED, ALL, 1.0, "yours to decide"),
        (ALL, MIXED, 1.0, "yours to decide"),
    ],
)
def test_the_rule(
    tmp_path: Path, without: Shares, doubled: Shares, proposed: float, said: str
) -> None:
    own = [
        Variant(name="full mix", kind="full"),
        Variant(name="without code", kind="leave_one_out", source="code"),
        Variant(name="code doubled", kind="double_one", source="code"),
    ]
    shares = {"all": ALL, "without code": without, "code doubled": doubled}
    found = ablations(own, trained(tmp_path, own, shares))
    [code, math] = advise(found, {"code": 1.0, "math": 3.0})
    assert code.proposed == proposed
    assert said in code.reason
    assert math.reason == "no evidence: keeps its weight of 3"


def test_something_is_always_left_to_train_on(tmp_path: Path) -> None:
    own = variants("leave_one_out")
    shares = {"all": {"gsm8k": 0.4}} | {f"without {s}": {"gsm8k": 0.6} for s in SOURCES}
    shares["without code"] = {"gsm8k": 0.8}
    advice = advise(ablations(own, trained(tmp_path, own, shares)), WEIGHTS)
    assert [one.source for one in advice if not one.proposed] == ["code"]
    assert "something must be trained on" in of(advice, "math").reason


def test_tasks_that_cannot_be_paired_are_named(tmp_path: Path) -> None:
    own = variants("leave_one_out")
    runs = trained(tmp_path, own, {"all": {"gsm8k": 0.5, "math": 0.5}})
    runs[2][0].samples_path("math").unlink()
    found = ablations(own, runs)
    assert [column.name for column in found.columns] == ["gsm8k"]
    assert "the samples of without-math-0 are missing" in found.not_compared["math"]
    assert any("math is not compared" in note for note in notes_of(found))
    with pytest.raises(ValueError, match="each seed"):
        ablations(own, [runs[0] * 2, *runs[1:]])


@pytest.fixture
def report(tmp_path: Path) -> MixReport:
    own = variants("leave_one_out")
    shares = {
        "all": {"gsm8k": 0.5, "math": 0.3},
        "without poison": {"gsm8k": 0.7, "math": 0.5},
    }
    dev = ablations(own, trained(tmp_path / "dev", own, shares))
    looked = [
        [sampled(tmp_path / f"u{at}", f"u{at}", {"deepmind_math": [1.0, 0.0] * 40}, held_out=True)]
        for at in range(len(own))
    ]
    unseen = ablations(own, looked)
    pairs = (Pair(dev=("gsm8k", "math"), unseen="deepmind_math"),)
    one = MixRound(
        number=1, dev=dev, unseen=unseen, pairs=pairs, advice=tuple(advise(dev, WEIGHTS))
    )
    return MixReport(name="m_x", stage="sft", rounds=(one,), over_rounds=None, proposed="next.toml")


def test_the_tables_hold_the_same_numbers(report: MixReport, tmp_path: Path) -> None:
    [one] = report.rounds
    column = one.dev.columns[1]
    cell = cell_of(one.dev.rows[4], column)
    assert cell.glyph == "▲"
    markdown, latex = mix_markdown(report), mix_latex(report)
    assert f"| without poison | {cell_of(one.dev.rows[4], one.dev.columns[0]).line} |" in markdown
    assert rf"\textbf{{{cell.score} ({cell.difference})}}" in latex
    assert r"m\_x" in latex
    rows = list(csv.DictReader(io.StringIO(mix_csv(report))))
    mine = [r for r in rows if r["mix"] == "without poison" and r["task"] == "gsm8k"]
    assert float(mine[0]["score"]) == one.dev.rows[4].scores["gsm8k"]
    assert mine[0]["verdict"] == "better"
    assert {r["suite"] for r in rows} == {"dev", "unseen"}
    page = write_mix_page(report, tmp_path / "mix.html").read_text("utf-8")
    for text in (cell.score, cell.difference, "poison 1 → left out", "Dev beside unseen"):
        assert text in page
    pairs = pair_table(one)
    assert pairs is not None
    assert pairs.rows[0] == (
        "full mix",
        f"{cell_of(one.dev.rows[0], one.dev.columns[0]).score} / 50.0",
    )
    assert advice_line(of(one.advice, "poison")) in html.unescape(markdown)
