"""No model is rewarded on what is held out: not by its task, not by its data, not by its items."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from olmes.benchmark.registry import load_task
from olmes.errors import OlmesError
from olmes.tools import jsonl
from olmes.trainers.data import held_out_rows
from olmes.trainers.data.mixture import load_mixture
from olmes.trainers.data.training_rows import rlvr_row
from olmes.trainers.recipes.files import make_recipe
from olmes.trainers.rewards.settings import RewardJudge
from olmes.trainers.rewards.verifiers import VerifierRewards

ECHO = Path(__file__).parents[1] / "olmes/files/echo_task.py"
OWN = Path(__file__).parent / "files/own_rewards.py"
ITEM = {
    "key": 1,
    "prompt": "Write three sentences about the harbour of a town that nobody has ever visited.",
    "instruction_id_list": ["count:word_count_range"],
    "kwargs": [{"min_words": 3, "max_words": 9}],
}
SHORT = {**ITEM, "key": 2, "prompt": "Say hello."}


@pytest.fixture
def exam_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has data of a held-out task, two items of it."""
    folder = tmp_path / "data/ifbench"
    folder.mkdir(parents=True)
    rows = "".join(json.dumps(row) + "\n" for row in (ITEM, SHORT))
    (folder / "IFBench_test.jsonl.gz").write_bytes(gzip.compress(rows.encode("utf-8")))
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_DATA", str(folder.parent))
    held_out_rows.suites_of.cache_clear()
    return folder.parent


def of_task(name: str, doc: dict[str, Any]) -> dict[str, Any]:
    return {"verifiers": json.dumps([{"task": name, "doc": doc}]), "prompt": []}


@pytest.mark.parametrize("name", ["agieval", "ifbench", "ifeval_ood", "deepmind_math", "href"])
def test_a_held_out_task_rewards_nothing(name: str) -> None:
    with pytest.raises(OlmesError, match=f"'{name}' is held out by the suite unseen"):
        rlvr_row({"messages": "?", "verifiers": [{"task": name, "doc": {}}]})
    with pytest.raises(OlmesError, match=f"'{name}' is held out by the suite unseen"):
        VerifierRewards([of_task(name, {})], judge=RewardJudge(model="smollm2"))


def test_a_task_on_gated_items_rewards_nothing() -> None:
    gated = str(ECHO.with_name("gated_task.py"))
    with pytest.raises(OlmesError, match="gated_task.py' has gated items, which the logs"):
        rlvr_row({"messages": "?", "verifiers": [{"task": gated, "doc": {}}]})
    with pytest.raises(OlmesError, match="held out by the suite tulu3_unseen"):
        rlvr_row({"messages": "?", "verifiers": [{"task": "gpqa", "doc": {}}]})


def test_a_task_file_on_the_same_data_is_held_out_wherever_it_stands(tmp_path: Path) -> None:
    digest = load_task("agieval").source.content_hash
    mine = tmp_path / "mine.py"
    source = ECHO.read_text("utf-8").replace('content_hash=""', f'content_hash="{digest}"')
    mine.write_text(source.replace('"echo"', '"mine"'), "utf-8")
    open_one = {"task": str(ECHO), "doc": {"word": "a"}}
    for verifiers in ([{"task": "mine.py", "doc": {}}], [open_one, {"task": "mine.py", "doc": {}}]):
        with pytest.raises(OlmesError, match="held out by the suite unseen"):
            rlvr_row({"messages": "?", "verifiers": verifiers}, tmp_path)
    with pytest.raises(OlmesError, match="held out by the suite unseen"):
        VerifierRewards([of_task(str(ECHO), {"word": "a"}), of_task(str(mine), {})])


@pytest.mark.parametrize(
    "verifier",
    [
        {"task": "ifeval", "doc": ITEM},
        {"task": "ifeval", "doc": {**SHORT, "note": "a field more"}},
        {"task": str(ECHO), "doc": {"word": f"  {ITEM['prompt'].upper()}\n"}},  # type: ignore[attr-defined]
        {"function": f"{OWN}:shortness", "doc": {"limit": 4, "of": [ITEM["prompt"]]}},
        {"judge": "is it good?", "doc": {"reference": ITEM["prompt"]}},
    ],
)
def test_an_item_of_a_held_out_task_is_known_under_any_verifier(
    exam_data: Path, verifier: dict[str, Any]
) -> None:
    with pytest.raises(OlmesError, match="it holds an item of ifeval_ood, which the suite unseen"):
        rlvr_row({"messages": "?", "verifiers": [verifier]})
    rows = [{"verifiers": json.dumps([verifier]), "prompt": []}]
    with pytest.raises(OlmesError, match="it holds an item of ifeval_ood"):
        VerifierRewards(rows, judge=RewardJudge(model="smollm2"))


def test_a_prompt_that_asks_a_held_out_item_is_known(exam_data: Path) -> None:
    own = {"task": str(ECHO), "doc": {"word": "a"}}
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": ITEM["prompt"]}]
    with pytest.raises(OlmesError, match="it holds an item of ifeval_ood"):
        rlvr_row({"messages": turns, "verifiers": [own]})
    with pytest.raises(OlmesError, match="it holds an item of ifeval_ood"):
        VerifierRewards([{"verifiers": json.dumps([own]), "prompt": turns}])


def test_a_recipe_names_the_row(exam_data: Path, tmp_path: Path) -> None:
    own = {"task": str(ECHO), "doc": {"word": "a"}}
    for bad in ({"verifiers": [{"task": "agieval", "doc": {}}]}, {"messages": ITEM["prompt"]}):
        rows = [{"messages": "?", "verifiers": [own]}, {"messages": "?", "verifiers": [own], **bad}]
        jsonl.write(tmp_path / "rows.jsonl", rows)
        recipe = make_recipe(
            "rlvr", {"data": {"rows.jsonl": {"fraction": 1.0}}}, str(tmp_path / "recipe.toml")
        )
        with pytest.raises(OlmesError, match=r"rows\.jsonl, row 2: .*held out|holds out"):
            load_mixture(recipe, say=lambda _: None)


def test_open_items_and_bundled_rows_are_rewarded_as_before(exam_data: Path) -> None:
    gsm8k = Path(__file__).parents[2] / "tasks/demo/gsm8k.jsonl"
    doc = next(iter(jsonl.read(gsm8k)))
    made = [rlvr_row({"verifiers": [{"task": "gsm8k", "doc": doc}]})]
    small = Path(__file__).parents[2] / "trainers/data/small-rlvr.jsonl"
    made += [rlvr_row(row) for row in jsonl.read(small)]
    with VerifierRewards(made[:1], scoring_processes=1) as rewards:
        assert rewards.score(made[:1], ["no"]).rewards == [0.0]
    assert len(made) > 1
