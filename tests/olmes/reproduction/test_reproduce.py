"""A model's numbers beside the paper's: what is compared, what is marked, what is only said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Record, stats
from olmes.reproduction.chance import difference_of, leaves_out_0
from olmes.reproduction.paper import Chosen, Column, load_paper
from olmes.reproduction.reproduce import (
    Reproduction,
    Row,
    Section,
    reproduction,
)
from olmes.reproduction.texts import sentences, suite_texts
from olmes.reproduction.whose import model_among
from olmes.stats import Estimate
from tests.factories import data_json, run_json, score_json, task_json, written

PAPER = load_paper("tulu3")
SFT = Chosen("Tülu 3 8B SFT", "for the test")
GSM8K = {"shots": 8, "aggregate": "micro", "generation": {"max_tokens": 512, "n": 1}}


def record(folder: Path, tasks: dict[str, Any], **fields: Any) -> Record:
    """A record of some tasks on disk."""
    return written(folder, run_json(tasks, **{"id": folder.name} | fields))


def shown(*records: Record, unseen: bool = False, chosen: Chosen = SFT) -> Reproduction:
    model, note = model_among(records)
    return reproduction(PAPER, model, chosen, unseen=unseen, notes=[note] if note else [])


def dev(*records: Record) -> Section:
    return shown(*records).sections[0]


def row(section: Section, column: str) -> Row:
    [found] = [one for one in (*section.rows, *section.beside) if one.column == column]
    return found


def judged(name: str) -> dict[str, Any]:
    """Who judged, as a record has it."""
    model = {"name": name, "fingerprint": "0" * 64, "engine": None}
    return {"model": model, "budget": None, "judgements": 1, "tokens": {}}


def test_a_row_has_both_numbers_and_what_lies_between_them(tmp_path: Path) -> None:
    found = row(dev(record(tmp_path / "a", {"gsm8k": task_json(0.75, formulation=GSM8K)})), "gsm8k")
    assert found.published is not None
    assert found.published.value == pytest.approx(0.762)
    assert found.published.table == "2, 5, 6"
    assert found.difference is not None
    assert found.difference.value == pytest.approx(-0.012)
    assert found.difference.ci_low == pytest.approx(-0.012 - 0.0196)
    assert (found.reported, found.marked, found.max_tokens) == (True, False, 512)
    assert (found.run, found.formulation_hash) == ("a", "0123456789abcdef")


def test_only_a_difference_beyond_chance_in_the_reported_setting_is_marked(tmp_path: Path) -> None:
    far = task_json(0.6, formulation=GSM8K)
    assert row(dev(record(tmp_path / "far", {"gsm8k": far})), "gsm8k").marked
    changed = far | {
        "formulation": {**GSM8K, "generation": {"max_tokens": 4096, "n": 1}},
        "standard": False,
        "settings": {"max_tokens": 4096},
    }
    other = row(dev(record(tmp_path / "changed", {"gsm8k": changed})), "gsm8k")
    assert (other.beyond_chance, other.reported, other.marked) == (True, False, False)
    assert other.differs == ["max_tokens is 4096, reported 512"]
    assert other.max_tokens == 4096


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"formulation": GSM8K | {"shots": 4}}, "shots is 4, reported 8"),
        ({"formulation": GSM8K, "standard": False}, "not the standard formulation"),
        (
            {"formulation": GSM8K, "standard": False, "settings": {"system": "Be brief."}},
            "set: system=Be brief.",
        ),
        ({"data": data_json(official=False)}, "the items are not known to be those"),
        ({"counts": {"failed": 3}}, "3 of 900 responses have no score"),
    ],
)
def test_what_differs_is_said_in_place_of_a_mark(
    tmp_path: Path, fields: dict[str, Any], why: str
) -> None:
    found = row(dev(record(tmp_path / "a", {"gsm8k": task_json(0.6, **fields)})), "gsm8k")
    assert found.beyond_chance
    assert not found.marked
    assert why in found.differs[0]


def test_demo_data_are_held_against_nothing_and_are_not_averaged_with_others(
    tmp_path: Path,
) -> None:
    tasks = {
        "gsm8k": task_json(0.6),
        "ifeval": task_json(
            0.9,
            primary="prompt_level_loose",
            metrics={"prompt_level_loose": score_json(0.9)},
            data=data_json(origin="demo"),
        ),
    }
    section = dev(record(tmp_path / "a", tasks))
    demo = row(section, "ifeval")
    assert (demo.difference, demo.marked, demo.demo) == (None, False, True)
    assert section.mean is not None
    assert section.mean.columns == ["gsm8k"]
    said = "; ".join(sentences(section))
    assert "ifeval: demo data, not the benchmark's items" in said
    alone = dev(record(tmp_path / "b", {"ifeval": tasks["ifeval"]})).mean
    assert alone is not None
    assert (alone.columns, alone.difference, alone.marked) == (["ifeval"], None, False)


def test_a_judge_other_than_the_papers_is_named(tmp_path: Path) -> None:
    def alpaca(judge: dict[str, Any] | None) -> Row:
        metrics = {"lc_win_rate": score_json(0.3)}
        task = task_json(primary="lc_win_rate", metrics=metrics, judge=judge)
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        return row(dev(record(place, {"alpaca_eval": task})), "alpaca_eval")

    theirs = "openai:gpt-4-1106-preview@https://api.openai.com/v1"
    assert alpaca(judged(theirs)).marked
    other = alpaca(judged("openai:small@http://127.0.0.1:8000"))
    assert not other.marked
    assert "judged by openai:small" in other.differs[0]
    assert alpaca(None).differs == ["no judge is recorded, reported gpt-4-1106-preview"]


def test_bbh_stands_there_by_both_extractions(tmp_path: Path) -> None:
    metrics = {"exact_match": score_json(0.7), "exact_match_release": score_json(0.68)}
    section = dev(record(tmp_path / "a", {"bbh": task_json(metrics=metrics)}))
    newer, older = row(section, "bbh"), row(section, "bbh_release")
    assert newer.published is not None
    assert older.published is not None
    assert newer.published.table == "2, 5, 6"
    assert older.published.table == "10"
    assert newer.published.value == pytest.approx(0.697)
    assert older.published.value == pytest.approx(0.679)
    assert section.mean is not None
    assert section.mean.columns == ["bbh"]


def test_sub_tasks_are_found_by_any_of_their_names(tmp_path: Path) -> None:
    subtasks = {
        "WildGuardTest": {"n": 749, "metrics": {"score": score_json(0.99, 0.004, 749)}},
        "wildjailbreak:harmful": {"n": 2000, "metrics": {"score": score_json(0.9, 0.007, 2000)}},
        "wildjailbreak:benign": {"n": 250, "metrics": {"score": score_json(0.8, 0.025, 250)}},
        "dan": {"n": 300, "metrics": {"score": score_json(0.5, 0.03, 300)}},
    }
    task = task_json(
        primary="score",
        metrics={"score": score_json(0.93)},
        subtasks=subtasks,
        judge=judged("allenai/wildguard"),
    )
    section = dev(record(tmp_path / "a", {"safety": task}))
    assert row(section, "safety").metric == "score"
    assert not row(section, "wildguardtest").marked
    assert row(section, "do_anything_now").marked  # published 88.3
    assert row(section, "do_anything_now").count == "300"
    divided = row(section, "wildjailbreaktest")
    assert (divided.subtask, divided.count) == ("wildjailbreak", "2,250")
    assert divided.ours.value == pytest.approx(0.85)
    assert [one.column for one in section.beside] == [
        "wildguardtest", "do_anything_now", "wildjailbreaktest",
    ]  # fmt: skip


def test_tasks_whose_items_are_not_the_papers_are_never_marked(tmp_path: Path) -> None:
    tasks = {
        "ifeval_ood": task_json(
            primary="prompt_level_loose",
            metrics={
                "prompt_level_loose": score_json(0.5),
                "prompt_level_loose_reference": score_json(0.9),
            },
        )
    }
    unseen = shown(record(tmp_path / "a", tasks), unseen=True).sections[1]
    found = row(unseen, "ifeval_ood")
    assert found.metric == "prompt_level_loose_reference"
    assert found.beyond_chance
    assert not found.marked
    assert "not public" in found.differs[0]


def test_a_partial_run_names_what_is_missing_and_averages_what_both_have(tmp_path: Path) -> None:
    tasks = {"gsm8k": task_json(0.80), "bbh": task_json(0.60)}
    section = dev(record(tmp_path / "a", tasks, not_run={"drop": "it needs a network"}))
    assert [one.column for one in section.rows] == ["bbh", "gsm8k"]
    why = {one.column: one.why for one in section.missing}
    assert len(why) == 10
    assert (why["drop"], why["mmlu"]) == ("it needs a network", "not run")
    mean = section.mean
    assert mean is not None
    assert mean.ours.value == pytest.approx(0.70)
    assert mean.published == pytest.approx((0.762 + 0.697) / 2)
    assert mean.printed is None
    said = list(sentences(section))
    assert "missing: drop (it needs a network)" in said
    assert any(one.startswith("the mean is of what both have: without mmlu, popqa") for one in said)
    # The paper's whole row stands there all the same.
    texts = suite_texts(section)
    assert [text.task for text, _ in texts] == section.order
    assert [text.published for text, _ in texts][:3] == ["65.9", "29.3", "46.8"]


def whole(folder: Path) -> Record:
    """A record with the published numbers of the whole development suite."""
    tasks = {}
    for name in PAPER.head.sections["dev"].columns:
        column, number = PAPER.column(name), PAPER.published(SFT.name, name)
        assert number is not None
        metric = column.metric or "score"
        task = task_json(primary=metric, metrics={metric: score_json(number.value)})
        if column.judge:
            task["judge"] = judged(column.judge)
        tasks[name] = task
    return record(folder, tasks)


def test_the_published_numbers_reproduce_the_papers_mean(tmp_path: Path) -> None:
    section = dev(whole(tmp_path / "a"))
    assert not section.missing
    assert section.mean is not None
    assert section.mean.printed is not None
    assert section.mean.ours.value == pytest.approx(section.mean.printed.value, abs=0.0005)
    assert section.mean.difference is not None
    assert section.mean.difference.value == pytest.approx(0, abs=1e-12)
    assert not any(one.marked for one in section.rows)
    assert not section.mean.marked
    assert section.mean.reported


def test_the_means_difference_is_no_surer_than_its_tasks(tmp_path: Path) -> None:
    section = dev(whole(tmp_path / "a"))
    assert section.mean is not None
    assert section.mean.difference is not None
    low = section.mean.difference.ci_low
    sides = [one.difference.ci_low for one in section.rows if one.difference]
    assert low == pytest.approx(-(sum((side or 0) ** 2 for side in sides) ** 0.5) / 12)


def test_a_sampled_column_needs_a_larger_difference() -> None:
    ours = stats.mean([1.0] * 130 + [0.0] * 34)
    fixed = difference_of(ours, 0.862, Column(items=164))
    sampled = difference_of(ours, 0.862, Column(items=164, sampled=True))
    assert fixed.value == sampled.value
    assert leaves_out_0(fixed)
    assert not leaves_out_0(sampled)
    theirs = Estimate(0.862, None, *stats.wilson(0.862, 164), 164)
    assert sampled.ci_low == stats.generalization_gap(ours, theirs).ci_low


def test_the_rounding_of_a_published_number_is_no_difference() -> None:
    exact = Estimate(0.7624, 0.0, 0.7623, 0.7625, 1_000_000)
    assert not leaves_out_0(difference_of(exact, 0.762, Column(items=1)))
    assert leaves_out_0(difference_of(exact, 0.761, Column(items=1)))
    unknown = Estimate(0.5, None, None, None, 1)
    assert not leaves_out_0(difference_of(unknown, 0.762, Column(items=1)))


def test_the_newest_full_run_of_a_task_counts(tmp_path: Path) -> None:
    full = record(tmp_path / "full", {"gsm8k": task_json(0.7)}, created="2026-01-01T00:00:00Z")
    limited = task_json(0.9, n=10, items=10)
    short = record(tmp_path / "short", {"gsm8k": limited}, limit=10, created="2026-02-01T00:00:00Z")
    assert row(dev(full, short), "gsm8k").run == "full"
    alone = row(dev(short), "gsm8k")
    assert alone.notes == ["over 10 of 900 items"]


def test_recordings_of_single_tasks_are_taken_together_and_others_are_not(tmp_path: Path) -> None:
    one = record(tmp_path / "a", {"gsm8k": task_json(0.7)}, model="gsm8k.jsonl")
    two = record(tmp_path / "b", {"bbh": task_json(0.6)}, model="bbh.jsonl")
    found = shown(one, two)
    assert [each.column for each in found.sections[0].rows] == ["bbh", "gsm8k"]
    assert found.notes[0].startswith("these runs are of 2 models that are taken together")
    again = record(tmp_path / "c", {"bbh": task_json(0.5)}, model="other")
    with pytest.raises(OlmesError, match=r"several models \(gsm8k.jsonl, bbh.jsonl, other\)"):
        model_among([one, two, again])
    assert model_among([one, two, again], "OTHER")[0].records == [again]
    with pytest.raises(OlmesError, match="none of these runs is of nobody"):
        model_among([one, two], "nobody")


def test_held_out_scores_are_shown_when_they_are_asked_for(tmp_path: Path) -> None:
    made = record(tmp_path / "a", {"gpqa": task_json(0.4), "gsm8k": task_json(0.7)})
    assert [one.title for one in shown(made).sections] == ["Development suite"]
    both = shown(made, unseen=True).sections
    assert [one.title for one in both] == ["Development suite", "Unseen suite"]
    assert "mmlu_pro" in both[1].unpublished
    assert row(both[1], "gpqa").marked


def test_what_is_no_share_is_held_against_nothing(tmp_path: Path) -> None:
    metrics = {"exact_match": score_json(43.0, 2.0) | {"unit": "number"}}
    section = dev(record(tmp_path / "a", {"gsm8k": task_json(metrics=metrics)}))
    found = row(section, "gsm8k")
    assert (found.difference, found.marked, found.reported) == (None, False, False)
    assert section.mean is None


def test_what_is_said_of_several_columns_is_said_once(tmp_path: Path) -> None:
    tasks = {name: task_json(0.5, data=data_json(origin="demo")) for name in ("gsm8k", "popqa")}
    said = list(sentences(dev(record(tmp_path / "a", tasks))))
    assert "popqa, gsm8k: demo data, not the benchmark's items" in said


def test_a_misprinted_mean_is_said_to_be_one(tmp_path: Path) -> None:
    tasks = {}
    for name in PAPER.head.sections["unseen"].columns:
        metric = PAPER.column(name).metric
        tasks[name] = task_json(primary=metric, metrics={metric: score_json(0.4)})
    chosen = Chosen("Llama 3.1 8B Instruct", "for the test")
    section = shown(record(tmp_path / "a", tasks), unseen=True, chosen=chosen).sections[1]
    assert any("misprint: the seven rows average 37.4" in one for one in sentences(section))
