"""A training whose data hold items of an evaluation says so, in the lineage of all that it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from olmes.errors import OlmesError
from olmes.records.overlap import Overlap, overlaps
from olmes.trainers.data.overlap import overlap_of_mixture
from olmes.trainers.recipes.identity import recipe_hash
from olmes.trainers.train import train
from tests.trainers.conftest import ADDITION, turns
from tests.trainers.files.addition_task import TASK, all_docs

PLANTED = 20
"""Items of the task among the rows: 4 % of its 500."""


@pytest.fixture
def planted(workshop: Any) -> Any:
    """The workshop with items of two-digit addition among the rows of all stages."""
    docs = [*all_docs()[:PLANTED], *all_docs()[1000:1020]]
    pairs = [(doc["question"], doc["answer"]) for doc in docs]
    workshop.write("sft.jsonl", [{"messages": turns(*pair)} for pair in pairs])
    workshop.write(
        "dpo.jsonl", [{"prompt": q, "chosen": a, "rejected": f"not {a}"} for q, a in pairs]
    )
    workshop.write(
        "rlvr.jsonl",
        [{"verifiers": [{"task": str(ADDITION), "doc": doc}]} for doc in docs],
    )
    return workshop


def against(**more: Any) -> dict[str, Any]:
    return {"decontamination": {"against": [str(ADDITION)], **more}}


def compared(shop: Any, stage: str, say: Any = None, **table: Any) -> list[Overlap]:
    from olmes.trainers.data.mixture import load_mixture

    recipe = shop.recipe(stage, **table)
    mixture = load_mixture(recipe, say=lambda _: None)
    return list(
        overlap_of_mixture(recipe, mixture, shop.folder / "scores", say=say or (lambda _: None))
        or ()
    )


@pytest.mark.parametrize("stage", ["sft", "dpo", "reward", "rlvr"])
def test_the_data_of_every_stage_are_compared(planted: Any, stage: str) -> None:
    more = {"data": {"dpo.jsonl": {"fraction": 1.0}}} if stage == "reward" else {}
    said: list[str] = []
    (found,) = compared(planted, stage, said.append, **against(), **more)
    assert (found.task, found.n, found.rows) == ("addition", 500, 40)
    assert (found.overlapped, found.matched_rows) == (PLANTED, PLANTED)
    own = {instance.doc_hash for instance in instances()[:PLANTED]}
    assert set(found.items) == own
    assert any("overlaps with 20 of 500 items of addition (4.0 %)" in line for line in said)


def instances() -> list[Any]:
    from olmes.data.resolve import at_hand

    dataset = at_hand(TASK)
    assert dataset is not None
    return list(dataset.instances)


def test_rows_that_are_not_drawn_are_not_compared(planted: Any) -> None:
    lines = (planted.folder / "sft.jsonl").read_text().splitlines()
    (planted.folder / "sft.jsonl").write_text("\n".join([*lines, *lines[20:] * 20]) + "\n")
    (found,) = compared(planted, "sft", **against(), data={"sft.jsonl": {"count": 8}})
    assert found.rows == 8
    assert found.overlapped < PLANTED
    (twice,) = compared(planted, "sft", **against(), data={"sft.jsonl": {"fraction": 2.0}})
    assert (twice.rows, twice.overlapped) == (440, PLANTED)


def test_it_is_compared_once(planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compared(planted, "sft", **against())
    monkeypatch.setattr("olmes.trainers.data.overlap.compare", None)
    assert compared(planted, "sft", **against()) == first


def test_a_contaminated_data_set_stops_the_training_where_the_recipe_says(planted: Any) -> None:
    recipe = planted.recipe("sft", **against(on_contaminated="stop"))
    with pytest.raises(OlmesError, match=r"sft\.jsonl overlaps with 20 of 500 items of addition"):
        train(recipe, planted.folder / "out", say=lambda _: None)
    assert not (planted.folder / "out/recipe.json").exists()


def test_tasks_whose_items_are_not_here_are_named_once(
    planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OLMES_DATA", raising=False)
    said: list[str] = []
    names = [str(ADDITION), "gsm8k", "math"]
    assert len(compared(planted, "sft", said.append, decontamination={"against": names})) == 1
    (line,) = [line for line in said if "not on this machine" in line]
    assert line.startswith("data: not compared with gsm8k, math,")


def test_an_unknown_name_is_refused_before_anything_is_read(planted: Any) -> None:
    recipe = planted.recipe(
        "sft", decontamination={"against": ["gsm9k"]}, data={"none.jsonl": {"fraction": 1.0}}
    )
    with pytest.raises(OlmesError, match=r"decontamination\.against: there is no task 'gsm9k'"):
        train(recipe, planted.folder / "out", say=lambda _: None)


def test_a_recipe_keeps_its_hash(planted: Any) -> None:
    assert recipe_hash(planted.recipe("sft")) == recipe_hash(planted.recipe("sft", **against()))


def lineage_of(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "lineage.json").read_text())
    return found


def test_checkpoint_record_and_page_say_it_and_the_next_stage_keeps_it(planted: Any) -> None:
    from olmes import evaluate
    from olmes.comparison.overlap import run_overlap
    from olmes.reports.run_page import write_run_page

    step = {"max_steps": 2}
    final = train(
        planted.recipe("sft", **against(), optimization=step),
        planted.folder / "sft", say=lambda _: None,
    )  # fmt: skip
    (found,) = overlaps(lineage_of(final))
    assert found.overlapped == PLANTED
    store = planted.folder / "runs"
    record = evaluate(str(ADDITION), model=str(final), out=store, limit=100)
    one = run_overlap(record).tasks["addition"]
    assert (one.n, one.of_run) == (100, True)
    page = write_run_page(record, planted.folder / "page.html").read_text()
    assert f"{one.overlapped} of 100 items overlap with the training data (sft.jsonl)" in page
    after = train(
        planted.recipe("dpo", model=str(final), optimization=step, **against()),
        planted.folder / "dpo", say=lambda _: None,
    )  # fmt: skip
    names = [one.data_set for one in overlaps(lineage_of(after))]
    assert [Path(name).name for name in names] == ["sft.jsonl", "dpo.jsonl"]


def trained(planted: Any, **table: Any) -> Path:
    """A folder of a training of two steps, with a checkpoint at each."""
    out: Path = planted.folder / "out"
    table = {"optimization": {"max_steps": 2}, "checkpoints": {"every": 1}, **table}
    train(planted.recipe("sft", **table), out, say=lambda _: None)
    return out


def test_what_is_found_afterwards_is_added_to_every_checkpoint(
    planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from olmes.cli.decontaminate import command

    out = trained(planted)
    before = {path: lineage_of(path) for path in (out / "final",)}
    assert overlaps(before[out / "final"]) == []
    words = [str(planted.folder / "sft.jsonl"), "--against", str(ADDITION), "--lineage", str(out)]
    words += ["--store", str(planted.folder / "runs"), "--processes", "1"]
    for _ in range(2):  # the second time it replaces what it said
        result = CliRunner().invoke(command, words, standalone_mode=False)
        assert result.return_value == 1, result.output
        for place in ("final", "checkpoint-1", "checkpoint-2"):
            (found,) = overlaps(lineage_of(out / place))
            assert (found.data_set, found.overlapped) == ("sft.jsonl", PLANTED)
    after = lineage_of(out / "final")
    assert [{k: v for k, v in step.items() if k != "overlap"} for step in after] == before[
        out / "final"
    ]
    assert "lineage" in result.output


def test_what_is_said_of_other_data_stays(planted: Any) -> None:
    from olmes.trainers.checkpoints.lineage import add_overlap

    out = trained(planted, **against())
    (first,) = overlaps(lineage_of(out / "final"))
    assert overlaps(lineage_of(out / "checkpoint-1")) == [first]
    other = msgspec.structs.replace(first, data_set="more", data_hash="ab" * 32)
    add_overlap(out, [other])
    add_overlap(out, [msgspec.structs.replace(other, rows=7)])
    found = overlaps(lineage_of(out / "final"))
    assert [(one.data_set, one.rows) for one in found] == [("sft.jsonl", 40), ("more", 7)]


def test_a_folder_without_checkpoints_is_refused(planted: Any) -> None:
    from olmes.trainers.checkpoints.lineage import add_overlap

    with pytest.raises(OlmesError, match="holds no checkpoint of a training"):
        add_overlap(planted.folder, [])


def test_counts_of_held_out_items_are_lines_of_the_ledger_and_nothing_else(
    planted: Any, tmp_path: Path
) -> None:
    """By a suite of one's own that holds the task out; the recipe names it."""
    from olmes.seal.ledger import Ledger

    suite = planted.folder / "exam.toml"
    suite.write_text(f'name = "exam"\ntitle = "Exam"\nheld_out = true\ntasks = ["{ADDITION}"]\n')
    said: list[str] = []
    table = {"decontamination": {"against": [str(suite)]}}
    compared(planted, "sft", said.append, **table)
    (found,) = compared(planted, "sft", said.append, **table)
    (entry,) = Ledger(planted.folder / "scores").entries()
    assert entry["overlaps"][0]["overlapped"] == PLANTED
    (line, _) = [line for line in said if "held out" in line]
    assert "sft.jsonl overlaps with 20 of 500 items of addition, held out by exam, (4.0 %)" in line
    texts = [doc["question"] for doc in all_docs()[:PLANTED]]
    told = "\n".join([*said, json.dumps(entry)])
    assert not [text for text in [*texts, *found.items] if text in told]


def test_the_ledger_repeats_a_lineage_without_items(planted: Any) -> None:
    from olmes import evaluate
    from olmes.seal.ledger import Ledger

    out = trained(planted, **against())
    suite = planted.folder / "exam.toml"
    suite.write_text(f'name = "exam"\ntitle = "Exam"\nheld_out = true\ntasks = ["{ADDITION}"]\n')
    store = planted.folder / "runs"
    record = evaluate(str(suite), model=str(out / "final"), out=store, limit=40, look="the end")
    (found,) = overlaps(record.run.model.lineage or ())
    assert found.overlapped == PLANTED
    assert record.run.held_out is not None
    assert record.run.held_out.lineage[-1]["training"] == "sft"
    lines = json.dumps([*Ledger(store).entries(), record.to_json()["held_out"]])
    assert "overlap" not in lines
    assert not [item for item in found.items if item in lines]


@pytest.mark.slow
def test_checkpoints_that_the_hook_scores_say_it(planted: Any) -> None:
    from olmes.comparison.overlap import run_overlap
    from olmes.records.record import readable_records

    scoring = {"tasks": [str(ADDITION)], "limit": 100}
    out = trained(planted, **against(), scoring=scoring, optimization={"max_steps": 2})
    records, _ = readable_records(out / "scores")
    assert len(records) == 2
    for record in records:
        one = run_overlap(record).tasks["addition"]
        assert (one.n, one.of_run, one.data_sets) == (100, True, ("sft.jsonl",))
        assert "items overlap with the training data" in (record.folder / "report.html").read_text(
            "utf-8"
        )
