"""Development and held-out scores side by side, from the records of one or several models."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Record
from olmes.benchmark.registry import load_suite
from olmes.benchmark.suite import Pair
from olmes.comparison.carried_words import share_in_words
from olmes.comparison.generalization import SideBySide, generalization
from olmes.comparison.pair_texts import line_sentences, row_texts
from olmes.tools.as_json import as_json
from tests.factories import run_json, score_json, task_json, with_fields, written
from tests.known import known
from tests.olmes.comparison.sampled import LOOK, PAIRS, sampled

ONE = [{"dev": ["gsm8k"], "unseen": "deepmind_math"}]


def record(folder: Path, model: str, scores: dict[str, float | None], **fields: Any) -> Record:
    """A record with the suite's members and their values, and no samples."""
    held = fields.pop("held_out", None)
    diagnosis = {"n": 9, "wrong": 3, "lost": 1, "lost_by": {"latex": 1}, "flags": {}}
    known_values = [value for value in scores.values() if value is not None]
    suite = {
        "name": "unseen" if held else "dev",
        "held_out": bool(held),
        "missing": [],
        "pairs": PAIRS if held else [],
        **score_json(sum(known_values) / len(known_values)),
    }
    tasks = {name: task_json(value, diagnosis=diagnosis) for name, value in scores.items()}
    fields = {"id": f"{model}-{suite['name']}", "suite": suite, "held_out": held} | fields
    return written(folder, run_json(tasks, model=model, **fields))


def test_a_pair_has_both_scores_the_gap_and_its_interval(tmp_path: Path) -> None:
    found = generalization(
        [
            record(tmp_path / "a", "m", {"gsm8k": 0.8, "math": 0.4, "ifeval": 0.7}),
            record(tmp_path / "b", "m", {"deepmind_math": 0.35}, held_out=LOOK),
        ]
    )
    [pair] = found.pairs
    [row] = pair.rows
    dev, unseen, gap = known(row.dev), known(row.unseen), known(row.gap)
    assert dev.value == pytest.approx(0.6)
    assert dev.stderr == pytest.approx(0.01 / 2**0.5)
    assert gap.value == pytest.approx(0.25)
    assert gap.stderr == pytest.approx((0.01**2 / 2 + 0.01**2) ** 0.5)
    assert known(gap.ci_low) < 0.25 < known(gap.ci_high)
    assert dev.runs == {"gsm8k": "m-dev", "math": "m-dev"}
    assert unseen.runs == {"deepmind_math": "m-unseen"}
    assert known(found.suites.rows[0].gap).value == pytest.approx(1.9 / 3 - 0.35)
    [model] = found.models
    assert as_json(model.looks) == [LOOK]
    assert set(found.diagnosis[0]) == {"gsm8k", "math", "ifeval", "deepmind_math"}


def test_of_two_runs_of_a_task_the_newest_counts_everywhere(tmp_path: Path) -> None:
    old = record(tmp_path / "a", "m", {"gsm8k": 0.5})
    new = record(tmp_path / "b", "m", {"gsm8k": 0.8})
    look = record(tmp_path / "c", "m", {"deepmind_math": 0.35}, held_out=LOOK)
    old = with_fields(old, {"id": "old", "created": "2026-01-01T00:00:00Z"})
    new = with_fields(
        new,
        {"id": "new", "created": "2026-01-02T00:00:00Z", "tasks.gsm8k.diagnosis.wrong": 7},
    )
    found = generalization([new, old, look], [Pair(dev=("gsm8k",), unseen="deepmind_math")])
    assert known(found.pairs[0].rows[0].dev).value == 0.8
    assert found.models[0].run_of["gsm8k"] == "new"
    assert found.diagnosis[0]["gsm8k"].wrong == 7


LATE = "2026-12-01T00:00:00Z"
HALF_RIGHT, MOST_RIGHT = [1.0, 0.0] * 50, [1.0, 1.0, 0.0, 1.0] * 25
UNSEEN_ITEMS = [1.0, 0.0, 0.0, 1.0] * 30


def test_a_full_run_counts_before_a_newer_limited_one(tmp_path: Path) -> None:
    full = sampled(tmp_path / "full", "m", {"gsm8k": HALF_RIGHT}, pairs=ONE)
    limited = sampled(tmp_path / "ten", "m", {"gsm8k": [1.0] * 10}, whole=100, created=LATE)
    changed = sampled(
        tmp_path / "short", "m", {"gsm8k": MOST_RIGHT}, tasks={"standard": False}, created=LATE
    )
    look = sampled(
        tmp_path / "look", "m", {"deepmind_math": UNSEEN_ITEMS}, held_out=True, pairs=ONE
    )
    found = generalization([limited, changed, full, look])
    for row in (found.pairs[0].rows[0], found.suites.rows[0]):
        dev = known(row.dev)
        assert dev.value == 0.5
        assert (dev.count, dev.limit, dev.standard, dev.marks) == ("100", None, True, [])
    alone = known(generalization([limited, look]).pairs[0].rows[0].dev)
    assert (alone.value, alone.limit, alone.comparable) == (1.0, 10, False)
    assert row_texts(generalization([limited, look]).pairs[0].rows[0]).dev.notes[:2] == (
        "n = 10",
        "limited",
    )
    other = generalization([changed, look]).pairs[0].rows[0]
    assert row_texts(other).dev.value == "75.0 !"


def test_what_was_not_run_is_named_and_not_filled_in(tmp_path: Path) -> None:
    found = generalization(
        [
            record(tmp_path / "a", "m", {"gsm8k": 0.8, "ifeval": 0.7}),
            record(tmp_path / "b", "m", {"deepmind_math": 0.2, "agieval": 0.5}, held_out=LOOK),
        ],
        [
            Pair(dev=("gsm8k", "math"), unseen="deepmind_math"),
            Pair(dev=("bbh",), unseen="agieval"),
            Pair(dev=("ifeval",), unseen="ifeval_ood"),
        ],
    )
    maths, reading = (pair.rows[0] for pair in found.pairs)
    assert maths.left_out == ["math"]
    assert known(maths.dev).value == pytest.approx(0.8)
    assert (reading.dev, reading.gap) == (None, None)
    assert known(reading.unseen).value == pytest.approx(0.5)
    # No table for what nobody ran the unseen half of.
    assert found.not_run == ["ifeval → ifeval_ood"]


def test_the_papers_suites_fill_every_pair(tmp_path: Path) -> None:
    """Tülu 3 8B: Tables 6 and 33; its pairs are those of Table 3."""
    dev = {
        "mmlu": 0.682, "popqa": 0.291, "truthfulqa": 0.55, "bbh": 0.69, "drop": 0.626, "math": 0.437,
        "gsm8k": 0.876, "humaneval": 0.839, "humaneval_plus": 0.792, "ifeval": 0.824,
        "alpaca_eval": 0.345, "safety": 0.855,
    }  # fmt: skip
    unseen = {
        "mmlu_pro": 0.443, "gpqa": 0.357, "agieval": 0.593, "deepmind_math": 0.354,
        "bigcodebench_hard": 0.074, "ifeval_ood": 0.243, "href": 0.327,
    }  # fmt: skip
    suite = load_suite("tulu3_unseen")
    assert (set(load_suite("tulu3_dev").tasks), set(suite.tasks)) == (set(dev), set(unseen))
    told = {"name": suite.name, "held_out": True, "missing": [], **score_json(0.342)}
    told["pairs"] = [pair.to_json() for pair in suite.pairs]
    quick = {"deepmind_math": 0.354, "ifeval_ood": 0.243}
    found = generalization(
        [
            record(tmp_path / "a", "tulu", dev),  # type: ignore[arg-type]
            record(tmp_path / "b", "tulu", unseen, held_out=LOOK, suite=told),  # type: ignore[arg-type]
            record(tmp_path / "c", "tulu", quick, held_out=LOOK, id="quick"),  # type: ignore[arg-type]
        ]
    )
    sides = {
        pair.unseen: (
            round(100 * known(pair.rows[0].dev).value, 2),
            round(100 * known(pair.rows[0].unseen).value, 2),
        )
        for pair in found.pairs
        if tuple(pair.dev) in {one.dev for one in suite.pairs}
    }
    assert sides == {
        "mmlu_pro": (68.2, 44.3), "gpqa": (68.2, 35.7), "agieval": (65.8, 59.3),
        "deepmind_math": (65.65, 35.4), "bigcodebench_hard": (81.55, 7.4),
        "ifeval_ood": (82.4, 24.3), "href": (34.5, 32.7),
    }  # fmt: skip
    assert found.not_run == []
    assert not any(pair.rows[0].left_out for pair in found.pairs)


def right(chances: list[float], share: float) -> list[float]:
    """The items whose difficulty a share of them does not exceed."""
    return [float(chance < share) for chance in chances]


def training(
    folder: Path, dev: list[float], unseen: list[float], *, items: int = 400, **fields: Any
) -> list[Record]:
    """Checkpoints of one training with these shares right, a base before them."""
    draw = random.Random(3)
    of_dev, of_unseen = ([draw.random() for _ in range(items)] for _ in range(2))
    found = []
    for at, (gained, held) in enumerate(zip(dev, unseen, strict=True)):
        name, step = ("base", None) if at == 0 else (f"tulu/{at * 100}", at * 100)
        given = {"step": step, "lineage": [{"base": "base"}] if at else [], "pairs": ONE} | fields
        found += [
            sampled(folder / f"d{at}", name, {"gsm8k": right(of_dev, gained)}, **given),
            sampled(
                folder / f"u{at}",
                name,
                {"deepmind_math": right(of_unseen, held)},
                held_out=True,
                **given,
            ),
        ]
    return found


def last(records: list[Record], **options: Any) -> SideBySide:
    return generalization(records, **options).pairs[0].rows[-1]


def test_a_change_is_counted_from_the_base_and_paired_by_item(tmp_path: Path) -> None:
    records = training(tmp_path, [0.3, 0.5], [0.4, 0.45])
    found = generalization(records)
    assert found.base.index == 0
    assert found.base.why == "the others' lineage names it"
    first, second = found.pairs[0].rows
    assert (first.change, first.why_no_change) == (None, "")
    change = known(second.change)
    gained = known(second.dev).value - known(first.dev).value
    held = known(second.unseen).value - known(first.unseen).value
    assert change.dev.value == pytest.approx(gained)
    assert change.unseen.value == pytest.approx(held)
    assert known(change.difference).value == pytest.approx(gained - held)
    assert (change.dev.paired, change.unseen.paired, change.dev.n) == (True, True, 400)
    # Every item that was right stays right: the pairing knows that, the two errors do not.
    unpaired = known(known(second.dev).stderr) + known(known(first.dev).stderr)
    assert known(change.dev.stderr) < 0.7 * unpaired
    ends = [known(change.dev.ci_low), known(change.dev.ci_high)]
    halves = [known(change.unseen.ci_low), known(change.unseen.ci_high)]
    low = (gained - held) - ((gained - ends[0]) ** 2 + (halves[1] - held) ** 2) ** 0.5
    assert known(change.difference).ci_low == pytest.approx(low)
    assert known(change.carried).value == pytest.approx(held / gained)
    assert "of the gain on dev carried over: some of it, but less than half" in second.in_words


def test_points_near_the_top_weigh_more_in_log_odds(tmp_path: Path) -> None:
    change = known(last(training(tmp_path, [0.5, 0.6], [0.88, 0.97], items=2_000)).change)
    assert change.dev.value == pytest.approx(0.10, abs=0.02)
    assert known(change.difference).value == pytest.approx(0.01, abs=0.03)
    # ln(.6/.4) - ln(.5/.5) = .41; ln(.97/.03) - ln(.88/.12) = 1.48.
    assert known(change.dev.log_odds).value == pytest.approx(0.41, abs=0.1)
    assert known(change.unseen.log_odds).value == pytest.approx(1.48, abs=0.2)
    assert known(known(change.log_odds).ci_high) < 0


def test_any_model_can_be_the_base(tmp_path: Path) -> None:
    records = training(tmp_path, [0.3, 0.5, 0.6], [0.4, 0.45, 0.5])
    for name in ("tulu/100", "d1", str(tmp_path / "u1"), records[2].run.model.fingerprint[:12]):
        found = generalization(records, base=name)
        assert (found.base.index, found.base.why) == (1, "named with --base")
        change = known(found.pairs[0].rows[0].change)
        assert change.dev.value == pytest.approx(-0.2, abs=0.05)
        # The base came before: this is no gain of a training.
        assert "of the loss on dev shows on unseen" in found.pairs[0].rows[0].in_words
    with pytest.raises(OlmesError, match=r"none of the models is the base 'tulu'.*base, tulu/100"):
        generalization(records, base="tulu")


def test_without_a_lineage_the_first_step_or_the_first_given_is_the_base(tmp_path: Path) -> None:
    records = training(tmp_path / "a", [0.3, 0.5, 0.6], [0.4, 0.45, 0.5], lineage=[])
    assert generalization(records).base.why == "the first that was given"
    found = generalization([*records[4:], *records[2:4]])
    assert (found.base.index, found.base.why) == (1, "the earliest checkpoint of tulu")


def test_a_limited_run_is_held_against_the_base_on_common_items(tmp_path: Path) -> None:
    records = training(tmp_path, [0.3, 0.5, 0.6, 0.7], [0.4, 0.45, 0.5, 0.5])
    values = [1.0] * 40
    records[6] = sampled(
        tmp_path / "limited", "tulu/300", {"gsm8k": values}, whole=400, step=300,
        lineage=[{"base": "base"}],
    )  # fmt: skip
    found = generalization(records)
    pair = found.pairs[0]
    row = pair.rows[-1]
    change = known(row.change)
    assert change.dev.n == 40
    assert "on the 40 items of gsm8k of both" in change.dev.notes
    assert row.why_not_in_slope == "limited to 40 of 400 items of gsm8k"
    assert pair.carried.carry_over.checkpoints == 3
    assert row_texts(row).dev.notes[:2] == ("n = 40", "limited")


def test_without_samples_a_change_is_not_paired(tmp_path: Path) -> None:
    records = training(tmp_path, [0.3, 0.5], [0.4, 0.45])
    paired = known(last(records).change)
    (records[0].folder / "samples/gsm8k.jsonl").unlink()
    change = known(last(records).change)
    assert not change.dev.paired
    assert change.unseen.paired
    assert change.dev.value == pytest.approx(paired.dev.value)
    assert known(change.dev.stderr) > known(paired.dev.stderr)
    assert "not paired" in row_texts(last(records)).dev_change.notes
    limited = sampled(
        tmp_path / "limited", "tulu/100", {"gsm8k": [1.0] * 40}, whole=400, step=100,
        lineage=[{"base": "base"}],
    )  # fmt: skip
    row = last([records[0], records[1], limited, records[3]])
    assert row.change is None
    assert "other items were asked" in row.why_no_change


def test_other_formulations_and_missing_members_are_no_change(tmp_path: Path) -> None:
    records = training(tmp_path, [0.3, 0.5], [0.4, 0.45])
    other = with_fields(records[2], {"tasks.gsm8k.formulation_hash": "f" * 16})
    row = last([*records[:2], other, records[3]])
    assert row.why_no_change == "no change: on dev the formulations differ of gsm8k"
    assert row.why_no_change in row_texts(row).sentences


def test_the_best_checkpoint_of_a_training_is_corrected_for_the_choice(tmp_path: Path) -> None:
    shares = [0.3, 0.50, 0.51, 0.52, 0.505, 0.515]
    draw = random.Random(5)
    records = training(tmp_path, shares, [0.4] * 6)
    for at in range(1, 6):
        # Items of their own, so that chance decides which is best.
        own = [float(draw.random() < 0.5) for _ in range(400)]
        records[2 * at] = sampled(
            tmp_path / f"own{at}", f"tulu/{at * 100}", {"gsm8k": own}, step=at * 100,
            lineage=[{"base": "base"}],
        )  # fmt: skip
    rows = generalization(records).pairs[0].rows
    best = max(rows[1:], key=lambda row: known(row.dev).value)
    dev, chosen = known(best.dev), known(known(best.dev).corrected)
    assert chosen.checkpoints == 5
    assert 0.005 < dev.value - chosen.value < 0.05
    assert all(known(row.dev).corrected is None for row in rows if row is not best)
    assert known(best.gap).value == pytest.approx(chosen.value - known(best.unseen).value)
    change = known(best.change)
    assert change.dev.value == pytest.approx(chosen.value - known(rows[0].dev).value)
    assert "corrected" in row_texts(best).dev.lines
    assert any("corrected for the choice" in note for note in change.dev.notes)


def test_a_flat_slope_is_not_said_to_carry_over(tmp_path: Path) -> None:
    dev = [0.40, 0.48, 0.56, 0.64, 0.72, 0.80]
    flat = generalization(training(tmp_path / "a", dev, [0.50, 0.502, 0.505, 0.507, 0.51, 0.512]))
    carried = flat.pairs[0].carried
    assert carried.kind == "training"
    assert abs(known(carried.carry_over.slope)) < 0.1
    assert known(carried.carry_over.ci_high) < 0.5
    assert "showed on unseen, over 6 checkpoints: less than half of it" in (carried.in_words)
    whole = generalization(training(tmp_path / "b", dev, [score - 0.1 for score in dev]))
    line = whole.pairs[0].carried
    assert known(line.carry_over.ci_low) > 0.5
    assert known(line.carry_over.ci_high) > 1
    assert line.in_words.endswith("more than half of it, and perhaps all")
    lost = generalization(training(tmp_path / "c", dev, [1.1 - score for score in dev]))
    assert lost.pairs[0].carried.in_words.endswith("one side rose while the other fell")
    assert known(line.ranks).same > 0
    assert any("Kendall's tau" in sentence for sentence in line_sentences(whole.pairs[0]))


def test_models_of_no_common_training_are_no_gain(tmp_path: Path) -> None:
    records = []
    for at in range(6):
        score = 0.3 + 0.1 * at
        for kind, task in (("d", "gsm8k"), ("u", "deepmind_math")):
            look = {"held_out": LOOK} if kind == "u" else {}
            records.append(record(tmp_path / f"{kind}{at}", f"m{at}", {task: score}, **look))
    found = generalization(records, [Pair(dev=("gsm8k",), unseen="deepmind_math")]).pairs[0]
    assert found.carried.kind == "models"
    assert found.carried.in_words.startswith("across 6 models a point more on dev goes with 1.00")
    assert "gain" not in found.carried.in_words
    # Without samples the errors in the records keep the slope from being a point.
    line = found.carried.carry_over
    assert known(line.ci_high) - known(line.ci_low) > 0.05


def test_three_models_have_no_interval(tmp_path: Path) -> None:
    found = generalization(training(tmp_path, [0.4, 0.5, 0.6], [0.5, 0.54, 0.586])).pairs[0]
    assert found.carried.carry_over.slope is not None
    assert found.carried.carry_over.ci_low is None
    assert found.carried.in_words.endswith("an interval needs at least 5 checkpoints, not 3")


def test_checkpoints_of_two_trainings_are_one_line_without_an_interval(tmp_path: Path) -> None:
    shares = [0.4, 0.5, 0.6, 0.7]
    records = [
        *training(tmp_path / "a", shares, shares)[2:],
        *(
            with_fields(one, {"model.family": "other", "model.fingerprint": f"{at // 2:064x}"})
            for at, one in enumerate(training(tmp_path / "b", shares, shares)[2:])
        ),
    ]
    carried = generalization(records).pairs[0].carried
    assert carried.kind == "several trainings"
    assert carried.carry_over.ci_low is None
    assert "more than one training" in carried.in_words


def test_a_model_that_lacks_a_member_is_not_in_the_line(tmp_path: Path) -> None:
    pairs = PAIRS
    draw = random.Random(4)
    records = []
    for at in range(5):
        names = ("gsm8k",) if at == 4 else ("gsm8k", "math")
        share = 0.9 if at == 4 else 0.3 + 0.1 * at
        own = {name: [float(draw.random() < share) for _ in range(60)] for name in names}
        held = {"deepmind_math": [float(draw.random() < 0.3 + 0.1 * at) for _ in range(60)]}
        records += [
            sampled(tmp_path / f"d{at}", f"m{at}", own, pairs=pairs),
            sampled(tmp_path / f"u{at}", f"m{at}", held, held_out=True, pairs=pairs),
        ]
    pair = generalization(records).pairs[0]
    assert pair.rows[-1].why_not_in_slope == "no score for math"
    assert pair.carried.carry_over.checkpoints == 4
    assert "no score for math" in pair.rows[-1].why_no_change
    # Where nobody ran it, all means are of the other tasks, and say so.
    for one in records[:8:2]:
        del one.run.tasks["math"]
    pair = generalization(records).pairs[0]
    assert pair.carried.carry_over.checkpoints == 5
    assert all(row.left_out == ["math"] for row in pair.rows)


def test_less_is_better_and_other_units(tmp_path: Path) -> None:
    def losses(at: int, offset: float) -> list[float]:
        return [offset - 0.2 * at + 0.01 * item for item in range(50)]

    records = []
    for at in range(2):
        given: dict[str, Any] = {"higher": False, "unit": "number", "pairs": ONE}
        records += [
            sampled(tmp_path / f"d{at}", f"m{at}", {"gsm8k": losses(at, 2.0)}, **given),
            sampled(
                tmp_path / f"u{at}",
                f"m{at}",
                {"deepmind_math": losses(at, 3.0)},
                held_out=True,
                **given,
            ),
        ]
    first, second = generalization(records).pairs[0].rows
    # Dev has the lower loss, so it is better, and both losses fell, which is a gain.
    assert known(first.gap).value == pytest.approx(1.0)
    assert known(second.change).dev.value == pytest.approx(0.2)
    assert known(second.change).dev.log_odds is None
    assert row_texts(first).dev.value == "2.25 ↓ #"
    shares = sampled(
        tmp_path / "s", "m1", {"deepmind_math": UNSEEN_ITEMS}, held_out=True, pairs=ONE
    )
    mixed = generalization([records[0], records[2], shares]).pairs[0].rows[-1]
    assert mixed.gap is None


def test_a_rewritten_exam_is_a_third_column(tmp_path: Path) -> None:
    pairs = [{**ONE[0], "rewritten": "fresh"}]
    records = training(tmp_path, [0.3, 0.5], [0.4, 0.6], pairs=pairs)
    fresh = sampled(tmp_path / "f", "tulu/100", {"fresh": HALF_RIGHT}, step=100)
    pair = generalization([*records, fresh]).pairs[0]
    assert pair.rewritten == "fresh"
    assert pair.rows[0].rewritten is None
    assert known(pair.rows[1].rewritten).value == 0.5
    unseen = known(pair.rows[1].unseen).value
    assert known(pair.rows[1].remembered).value == pytest.approx(unseen - 0.5)
    assert generalization(records).pairs[0].rewritten == ""


def test_records_older_than_the_rewritten_exam_have_it_too(tmp_path: Path) -> None:
    old = [{"dev": ["ifeval"], "unseen": "ifeval_ood"}]
    records = [
        sampled(tmp_path / "d", "m", {"ifeval": HALF_RIGHT}),
        sampled(tmp_path / "u", "m", {"ifeval_ood": UNSEEN_ITEMS}, held_out=True, pairs=old),
        sampled(tmp_path / "f", "m", {"ifeval_ood_fresh": MOST_RIGHT}),
    ]
    pair = generalization(records).pairs[0]
    assert pair.rewritten == "ifeval_ood_fresh"
    assert known(pair.rows[0].rewritten).value == 0.75


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.02, 0.03, "some of it, but less than half of it"),
        (0.2, 0.7, "some of it, but not all"),
        (0.6, 0.9, "more than half of it, but not all"),
        (0.2, 1.1, "some of it, and perhaps all"),
        (0.6, 1.1, "more than half of it, and perhaps all"),
        (1.1, 1.4, "more than all of it"),
        (-0.2, 0.3, "less than half of it, and perhaps none"),
        (-0.2, 0.8, "not all of it, and perhaps none"),
        (-0.2, 1.3, "none of it and all of it are both possible"),
        (-0.9, -0.2, "one side rose while the other fell"),
        (None, None, ""),
    ],
)
def test_words_match_the_share(low: float | None, high: float | None, words: str) -> None:
    assert share_in_words(low, high) == words


def test_two_models_are_no_trend(tmp_path: Path) -> None:
    found = generalization(training(tmp_path, [0.3, 0.5], [0.4, 0.5]))
    assert found.pairs[0].carried.carry_over.slope is None
    assert found.pairs[0].carried.in_words.endswith(
        "cannot be said: a slope needs at least 3 checkpoints, not 2"
    )


def test_without_a_held_out_run_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(OlmesError, match="olmes run --suite unseen"):
        generalization([record(tmp_path / "a", "m", {"gsm8k": 0.9})])
