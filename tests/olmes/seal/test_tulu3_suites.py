"""The paper's two suites: their members, their pairs, and what is held out by them and what is not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from olmes.benchmark.registry import load_suite, load_task
from olmes.benchmark.suite import Pair
from olmes.data.resolve import at_hand
from olmes.seal.held_out import held_out_tasks
from olmes.seal.sight import Sight, held_out_of

DEV = (
    "mmlu", "popqa", "truthfulqa", "bbh", "drop", "math", "gsm8k", "humaneval", "humaneval_plus",
    "ifeval", "alpaca_eval", "safety",
)  # fmt: skip
"""Table 5 of the paper, in its order."""
UNSEEN = (
    "mmlu_pro", "gpqa", "agieval", "deepmind_math", "bigcodebench_hard", "ifeval_ood", "href",
)  # fmt: skip
ALSO_DEV = ("mmlu_mc",)
"""Other published settings of development tasks."""


def test_their_members() -> None:
    dev, unseen = load_suite("tulu3_dev"), load_suite("tulu3_unseen")
    assert dev.tasks == DEV
    assert unseen.tasks == UNSEEN
    assert (dev.held_out, unseen.held_out) == (False, True)
    # The plain mean of all: Tables 2, 5, 6 and 33.
    assert {suite.aggregate for suite in (dev, unseen)} == {"mean"}
    assert {suite.mean for suite in (dev, unseen)} == {None}


def test_the_pairs_are_those_of_table_3() -> None:
    assert load_suite("tulu3_unseen").pairs == (
        Pair(dev=("mmlu",), unseen="mmlu_pro"),
        Pair(dev=("mmlu",), unseen="gpqa"),
        Pair(dev=("bbh", "drop"), unseen="agieval"),
        Pair(dev=("gsm8k", "math"), unseen="deepmind_math"),
        Pair(dev=("humaneval", "humaneval_plus"), unseen="bigcodebench_hard"),
        Pair(dev=("ifeval",), unseen="ifeval_ood", rewritten="ifeval_ood_fresh"),
        Pair(dev=("alpaca_eval",), unseen="href"),
    )


def test_the_quick_suites_stay_as_they_were() -> None:
    dev, unseen = load_suite("dev"), load_suite("unseen")
    assert dev.tasks == ("gsm8k", "math", "ifeval")
    assert unseen.tasks == ("agieval", "deepmind_math", "ifeval_ood", "href")
    # A pair of both suites is one pair of the report.
    assert set(unseen.pairs) <= set(load_suite("tulu3_unseen").pairs)


@pytest.mark.parametrize("name", UNSEEN)
def test_the_unseen_tasks_are_held_out_wherever_they_run(name: str) -> None:
    quick = ["unseen"] if name in load_suite("unseen").tasks else []
    assert held_out_tasks([load_task(name)], None) == {name: [*quick, "tulu3_unseen"]}


@pytest.mark.parametrize("name", [*DEV, *ALSO_DEV])
def test_no_development_task_is_held_out(name: str) -> None:
    assert held_out_tasks([load_task(name)], None) == {}
    assert held_out_tasks([load_task(name)], load_suite("tulu3_dev")) == {}


@pytest.mark.parametrize("name", [*DEV, *ALSO_DEV])
def test_no_development_task_is_held_out_by_its_real_items(
    name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MMLU-Pro holds thousands of MMLU's questions: they are MMLU's all the same."""
    monkeypatch.setenv("OLMES_DATA", str(shared_data))
    task = load_task(name)
    if (dataset := at_hand(task, shared_data)) is None:
        pytest.skip(f"needs the files of {name}, which are not in ../shared/data")
    assert held_out_tasks([task], None, {name: dataset}) == {}


def test_an_item_of_both_is_scored_as_mmlus_and_not_as_anybodys(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_DATA", str(shared_data))
    with gzip.open(shared_data / "mmlu_pro/test.jsonl.gz", "rt", encoding="utf-8") as stream:
        closed = {json.loads(line)["question"] for line in stream}
    with gzip.open(shared_data / "mmlu/test.jsonl.gz", "rt", encoding="utf-8") as stream:
        docs = [json.loads(line) for line in stream]
    shared = [doc for doc in docs if doc["question"] in closed and len(doc["question"]) > 100]
    assert len(shared) > 1000
    for name, held in (("mmlu", {}), ("gsm8k", {"gsm8k": ["tulu3_unseen"]})):
        sight = Sight(
            event="score", task=load_task(name), items=1, dataset=None, docs=shared[:5],
            data=shared_data,
        )  # fmt: skip
        assert held_out_of(sight, []) == held
