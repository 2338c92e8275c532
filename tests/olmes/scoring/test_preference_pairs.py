"""Files of preferences as tasks: how rows are read, what a verdict is, what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from olmes.benchmark.registry import load_task, scorer_hash, task_from_reference
from olmes.cli import olmes
from olmes.data.resolve import quiet, resolve
from olmes.errors import OlmesError
from olmes.runs.task_check import check_task
from olmes.scoring.preference_pairs import TASK, pair_of
from olmes.tools import jsonl
from olmes.trainers.data.bundled import bundled_data
from olmes.types import Request, Response

DOC = {"prompt": [{"role": "user", "content": "2+2"}], "chosen": "4", "rejected": "five"}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "2+2", "chosen": "4", "rejected": "five"},
        {"prompt": [user("2+2")], "chosen": [said("4")], "rejected": [said("five")]},
        {"chosen": [user("2+2"), said("4")], "rejected": [user("2+2"), said("five")]},
        {"question": "2+2", "chosen": "4", "rejected": "five"},
        {
            "conversations": [{"from": "human", "value": "2+2"}],
            "chosen": said("4"),
            "rejected": "five",
        },
    ],
)
def test_every_shape_that_is_trained_on_is_an_item(row: dict[str, Any]) -> None:
    assert pair_of({**row, "id": 7, "chosen_model": "x"}) == DOC
    assert pair_of({**row, "subset": "math"}) == {**DOC, "subset": "math"}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"prompt": "2+2", "chosen": "4"}, "has 'prompt', 'chosen' and 'rejected'"),
        ({"chosen": "4", "rejected": "5"}, "has 'prompt', 'chosen' and 'rejected'"),
        ({"prompt": "2+2", "chosen": "4", "rejected": "4"}, "the same, so that neither"),
        ({"prompt": "2+2", "chosen": " ", "rejected": "4"}, "the chosen answer is empty"),
        ({"prompt": "2+2", "chosen": 4, "rejected": "4"}, "'chosen' must be"),
        (
            {"chosen": [user("a"), said("4")], "rejected": [user("b"), said("5")]},
            "equal but for their last turn",
        ),
        ({"prompt": "a", "tools": [{"name": "f"}], "chosen": "4", "rejected": "5"}, "tools, calls"),
    ],
)
def test_a_pair_that_decides_nothing_is_named_by_its_row(
    row: dict[str, Any], why: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    jsonl.write(path, [{"prompt": "1+1", "chosen": "2", "rejected": "3"}, row])
    with pytest.raises(OlmesError, match=f"mine.jsonl, row 2: .*{why}"):
        resolve(load_task(str(path)), say=quiet)


@pytest.mark.parametrize(
    ("rewards", "values"),
    [
        ((2.5, -1.0), {"accuracy": 1.0, "margin": 3.5, "equal": 0.0}),
        ((-3.0, -1.0), {"accuracy": 0.0, "margin": -2.0, "equal": 0.0, "longer_in_errors": 1.0}),
        ((0.25, 0.25), {"accuracy": 0.0, "margin": 0.0, "equal": 1.0}),
    ],
)
def test_a_verdict_is_which_reward_is_larger(
    rewards: tuple[float, float], values: dict[str, float]
) -> None:
    verdict = TASK.score(DOC, Response(rewards=rewards))
    assert verdict.values == values
    preferred = None if values["equal"] else "4" if values["accuracy"] else "five"
    assert verdict.extracted == preferred
    turned = {**DOC, "chosen": "five", "rejected": "4"}
    shorter = TASK.score(turned, Response(rewards=(-3.0, -1.0))).values
    assert shorter["longer_in_errors"] == 0.0
    alike = TASK.score({**DOC, "rejected": "5"}, Response(rewards=(-3.0, -1.0))).values
    assert "longer_in_errors" not in alike


def test_the_file_is_the_task(tmp_path: Path) -> None:
    path = tmp_path / "my-pairs.jsonl.gz"
    rows = [
        {"prompt": f"{n}+1", "chosen": str(n + 1), "rejected": "no", "subset": f"s{n % 2}"}
        for n in range(4)
    ]
    jsonl.write(tmp_path / "my-pairs.jsonl", rows)
    path.write_bytes(gzip.compress((tmp_path / "my-pairs.jsonl").read_bytes()))
    for name in (path, tmp_path / "my-pairs.jsonl"):
        task = load_task(str(name))
        assert (task.name, task.title) == ("my_pairs", "my-pairs")
        found = resolve(task, say=pytest.fail)  # nothing is to be said of a set that is one's own
        assert found.official
        assert [one.subtask for one in found.instances] == ["s0", "s1", "s0", "s1"]
        assert (
            found.content_hash
            == resolve(task_from_reference(task.reference), say=quiet).content_hash
        )
        assert scorer_hash(task)
    assert len({task.cluster(one.doc) for one in found.instances}) == 4
    assert task.item_texts(found.instances[0].doc) == ["0+1"]
    assert task.item_texts(found.instances[0].doc, answers=True) == ["1", "no"]


def test_the_oracle_holds_on_the_bundled_pairs() -> None:
    task = load_task(str(bundled_data()["small-pairs"]))
    found = check_task(task, limit=20, say=pytest.fail, scoring_processes=1)
    assert (found.problems, found.notices, found.prompts) == ([], [], 20)


def test_a_name_that_is_a_benchmarks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gsm8k.jsonl"
    jsonl.write(path, [{"prompt": "1+1", "chosen": "2", "rejected": "3"}])
    with pytest.raises(OlmesError, match="'gsm8k' is a task already; rename the file"):
        load_task(str(path))
    with pytest.raises(OlmesError, match="does not exist; check the path of the file of pairs"):
        load_task(str(tmp_path / "none.jsonl"))


def test_rewards_are_kept_apart_from_log_probabilities() -> None:
    plain = Request(
        generation=TASK.formulation.generation, messages=({"role": "user", "content": "a"},)
    )
    assert "answers" not in plain.to_json()
    asked = TASK.request(DOC)
    assert asked.to_json()["answers"] == ("4", "five")
    assert asked.continuations == ()
    given = Response(rewards=(1.5, -2.0))
    assert given.to_json()["logprobs"] == ()
    assert Response.from_json(json.loads(json.dumps(given.to_json()))) == given
    assert "rewards" not in Response(text="x").to_json()


def test_recorded_rewards_are_scored_without_a_model(tmp_path: Path) -> None:
    pairs, recording = tmp_path / "mine.jsonl", tmp_path / "recorded.jsonl"
    jsonl.write(
        pairs, [{"prompt": f"{n}+1", "chosen": str(n + 1), "rejected": "no"} for n in range(3)]
    )
    jsonl.write(recording, [{"doc_id": n, "rewards": [1.0 - n, 0.0]} for n in range(3)])
    run = [
        "run",
        "--task",
        str(pairs),
        "--model",
        f"replay:{recording}",
        "--out",
        str(tmp_path / "s"),
    ]
    result = CliRunner().invoke(olmes, run)
    assert result.exit_code == 0, result.output
    record = json.loads(next((tmp_path / "s").glob("*/run.json")).read_text())
    metrics = record["tasks"]["mine"]["metrics"]
    assert metrics["accuracy"]["value"] == pytest.approx(1 / 3)
    assert (metrics["margin"]["value"], metrics["margin"]["unit"]) == (0.0, "number")
    assert metrics["equal"]["value"] == pytest.approx(1 / 3)
    for row, why in (
        ({"doc_id": 0, "rewards": [1.0]}, "1 'rewards' for the 2 answers"),
        ({"doc_id": 0, "response": "4"}, "0 'rewards' for the 2 answers"),
        ({"doc_id": 0, "rewards": [1.0, "a"]}, "each must be a finite number"),
    ):
        jsonl.write(recording, [row])
        result = CliRunner().invoke(olmes, [*run[:-1], str(tmp_path / "other")])
        assert result.exit_code != 0
        assert why in str(result.exception)
