"""A reward model's checkpoints scored on held-out pairs: what is read, counted, shown and refused."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from olmes.cli import olmes
from olmes.errors import OlmesError
from olmes.models.spec import load_model
from olmes.scoring.preference_pairs import TASK
from olmes.trainers.data.bundled import bundled_data
from olmes.trainers.recipes.files import read_recipe
from olmes.trainers.templates.pairs import find_template
from olmes.trainers.templates.preferences import encode_preferences
from olmes.trainers.train import train
from olmes.types import Response
from tests.trainers.conftest import TEMPLATE, build_tiny

CHATML = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""A template that puts a line end behind every turn."""


def sums(numbers: list[int], seed: int) -> list[dict[str, Any]]:
    """Pairs whose rejected answer is wrong in its hundreds; two subsets."""
    drawn = random.Random(seed)
    found = []
    for number in numbers:
        a, b = divmod(number, 50)
        right = a + b + 20
        wrong = right + 100 * drawn.randint(1, 8)
        found.append(
            {
                "prompt": f"{a + 10}+{b + 10}",
                "chosen": str(right),
                "rejected": str(wrong),
                "subset": "even" if right % 2 == 0 else "odd",
            }
        )
    return found


@pytest.fixture
def toy(workshop: Any) -> Any:
    """The workshop with 400 pairs to train on, and 60 others that are held out."""
    numbers = random.Random(0).sample(range(2500), 460)
    workshop.write("reward.jsonl", sums(numbers[:400], 1))
    workshop.write("held-out.jsonl", sums(numbers[400:], 2))
    return workshop


def scored(toy: Any, seed: int, steps: int) -> tuple[Path, dict[str, Any]]:
    """A training on the toy, and what its last checkpoint scored."""
    out = toy.folder / f"out-{seed}"
    recipe = toy.recipe(
        "reward",
        seed=seed,
        optimization={"max_steps": steps, "batch_size": 16, "micro_batch_size": 16},
        checkpoints={"every": steps // 2},
        scoring={"tasks": ["held-out.jsonl"]},
    )
    train(recipe, out, say=lambda _: None)
    runs = [json.loads(path.read_text()) for path in out.glob("scores/*/run.json")]
    assert len(runs) == 2
    return out, max(runs, key=lambda run: run["model"]["lineage"][-1]["step"])


def test_checkpoints_are_scored_on_held_out_pairs(toy: Any) -> None:
    out, run = scored(toy, seed=1, steps=20)
    metrics = run["tasks"]["held_out"]["metrics"]
    assert metrics["accuracy"]["n"] == 60
    assert metrics["accuracy"]["ci_low"] > 0.5
    assert metrics["accuracy"]["stderr"] > 0 or metrics["accuracy"]["value"] == 1.0
    assert metrics["margin"]["unit"] == "number"
    assert metrics["margin"]["value"] > 0
    assert set(run["tasks"]["held_out"]["subtasks"]) == {"even", "odd"}
    assert run["model"]["lineage"][-1]["method"] == "reward"
    best = json.loads(next(out.glob("scores/checkpoints/*/best.json")).read_text())
    assert "held_out" in json.dumps(best)
    assert "held-out" in (out / "training.html").read_text()

    # The number is the model's own, and a user's run of the same model has the same.
    store = toy.folder / "mine"
    command = [
        "run",
        "--model",
        f"hf:{out / 'final'}",
        "--task",
        str(toy.folder / "held-out.jsonl"),
    ]
    result = CliRunner().invoke(olmes, [*command, "--out", str(store), "--no-cache"])
    assert result.exit_code == 0, (result.output, result.exception)
    own = json.loads(next(store.glob("*/run.json")).read_text())["tasks"]["held_out"]
    assert own["metrics"]["accuracy"] == metrics["accuracy"]
    assert own["metrics"]["margin"]["value"] == pytest.approx(metrics["margin"]["value"], abs=1e-4)
    samples = [json.loads(line) for line in next(store.glob("*/samples/*.jsonl")).open()]
    assert rewards_by_hand(out / "final", samples[0]) == pytest.approx(
        samples[0]["response"]["rewards"], abs=1e-4
    )
    assert samples[0]["response"]["logprobs"] == []

    # What has no text cannot be asked for any.
    result = CliRunner().invoke(olmes, ["run", "--model", str(out / "final"), "--task", "gsm8k"])
    assert "scores texts and writes none" in str(result.exception)
    command = ["run", "--model", str(toy.model), "--task", str(toy.folder / "held-out.jsonl")]
    result = CliRunner().invoke(olmes, [*command, "--out", str(toy.folder / "none")])
    assert "is no reward model: it gives no rewards; give" in str(result.exception)
    assert not (toy.folder / "none").exists()


def rewards_by_hand(folder: Path, row: dict[str, Any]) -> list[float]:
    """The two rewards of a sample, each text alone through transformers."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = []
    for answer in row["answers"]:
        turns = [*row["messages"], {"role": "assistant", "content": answer}]
        text = tokenizer.apply_chat_template(turns, tokenize=False)
        ids = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids])
        with torch.no_grad():
            found.append(float(model(input_ids=ids).logits[0, 0]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_better_than_chance_whatever_the_seed(toy: Any, seed: int) -> None:
    _, run = scored(toy, seed, steps=20)
    assert run["tasks"]["held_out"]["metrics"]["accuracy"]["ci_low"] > 0.5


@pytest.mark.parametrize("template", [TEMPLATE, CHATML])
def test_the_tokens_are_those_that_were_trained_on(template: str, tmp_path: Path) -> None:
    from olmes.models.hf.rewards import whole_chat

    folder = reward_model(build_tiny(tmp_path / "start", template=template), tmp_path / "made")
    model: Any = load_model(str(folder))
    doc = {"prompt": [{"role": "user", "content": "a b"}], "chosen": "yes ", "rejected": "no\n"}
    sides = {side: [{"role": "assistant", "content": doc[side]}] for side in ("chosen", "rejected")}
    tokenizer = model.encoder.tokenizer
    row = {"prompt": doc["prompt"], "more": "", **sides}
    found = encode_preferences(tokenizer, [row], find_template("model", tokenizer))[0]
    assert not isinstance(found, str)
    prompt, *answers = found
    request = TASK.request(doc)
    for answer, ids in zip(request.answers, answers, strict=True):
        assert list(whole_chat(model.encoder, request, answer).token_ids) == prompt + ids


def reward_model(start: Path, out: Path, *, labels: int = 1, **config: Any) -> Path:
    """A classifier on a tiny model, its head drawn."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    made = AutoModelForSequenceClassification.from_pretrained(start, num_labels=labels, **config)
    made.save_pretrained(out)
    AutoTokenizer.from_pretrained(start).save_pretrained(out)
    return out


def rewards_of(folder: Path, docs: list[dict[str, Any]], **options: Any) -> list[Response]:
    """What a model gives the pairs of some items."""
    found: dict[int, Response] = {}
    load_model(str(folder), **options).rewards(
        [TASK.request(doc) for doc in docs], found.__setitem__
    )
    return [found[at] for at in range(len(docs))]


def test_a_reward_does_not_depend_on_its_batch(toy: Any) -> None:
    folder = reward_model(toy.model, toy.folder / "made")
    docs = [
        {"prompt": [{"role": "user", "content": "q" * n}], "chosen": "a" * n, "rejected": "b"}
        for n in (1, 40, 7, 100)
    ]
    alone = rewards_of(folder, docs, batch_size=1)
    together = rewards_of(folder, docs, batch_size=8)
    for one, other in zip(alone, together, strict=True):
        assert one.rewards == pytest.approx(other.rewards, abs=1e-5)
        assert one.prompt_tokens == other.prompt_tokens > 0
    # Without a token for padding a model reads one row at a time.
    bare = json.loads((folder / "config.json").read_text())
    del bare["pad_token_id"]
    (folder / "config.json").write_text(json.dumps(bare))
    for one, other in zip(alone, rewards_of(folder, docs, batch_size=8), strict=True):
        assert one.rewards == pytest.approx(other.rewards, abs=1e-5)


def test_what_does_not_fit_is_cut_from_the_left_and_counted(toy: Any) -> None:
    folder = reward_model(toy.model, toy.folder / "made")
    long = {"prompt": [{"role": "user", "content": "q" * 100}], "chosen": "yes", "rejected": "no"}
    answer = {"prompt": [{"role": "user", "content": "q"}], "chosen": "y" * 90, "rejected": "no"}
    cut, refused = rewards_of(folder, [long, answer], max_length=64)
    assert cut.prompt_truncated > 0
    assert len(cut.rewards) == 2
    assert "leaves no room in the window of 64" in refused.error


def test_an_adapter_of_a_reward_model_is_merged_with_its_head(toy: Any) -> None:
    out = toy.folder / "out"
    recipe = toy.recipe(
        "reward", lora={"rank": 4}, optimization={"max_steps": 2}, checkpoints={"every": 2}
    )
    final = train(recipe, out, say=lambda _: None)
    docs = [{"prompt": [{"role": "user", "content": "1+1"}], "chosen": "2", "rejected": "302"}]
    (merged,), (whole,) = rewards_of(out / "checkpoint-2", docs), rewards_of(final, docs)
    assert merged.rewards == pytest.approx(whole.rewards, abs=1e-5)
    from safetensors.torch import load_file, save_file

    weights = load_file(out / "checkpoint-2/adapter_model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "score" not in name}
    assert len(kept) == len(weights) - 1
    save_file(kept, out / "checkpoint-2/adapter_model.safetensors")
    with pytest.raises(OlmesError, match="brings no head of one label"):
        rewards_of(out / "checkpoint-2", docs)


def test_a_classifier_of_several_labels_gives_no_reward(toy: Any) -> None:
    folder = reward_model(toy.model, toy.folder / "made", labels=3)
    command = ["run", "--model", str(folder), "--task", str(toy.folder / "held-out.jsonl")]
    result = CliRunner().invoke(olmes, command)
    assert "reward model or classifier" in str(result.exception)


def test_what_a_recipe_cannot_score_is_refused_before_it_trains(toy: Any) -> None:
    def refused(stage: str, tasks: list[str], **more: Any) -> str:
        with pytest.raises(OlmesError) as caught:
            toy.prepared(stage, scoring={"tasks": tasks}, **more)
        return str(caught.value)

    assert "a reward model writes no text, so that gsm8k" in refused("reward", ["gsm8k"])
    assert "compares rewards, which a stage of dpo" in refused("dpo", ["held-out.jsonl"])
    assert "every pair of reward has a prompt that is trained on" in refused(
        "reward", ["reward.jsonl"]
    )
    assert "does not exist" in refused("reward", ["none.jsonl"])


def test_pairs_that_are_trained_on_too_are_counted_aloud(toy: Any) -> None:
    from olmes.trainers.stage import prepare

    rows = [json.loads(line) for line in (toy.folder / "held-out.jsonl").open()]
    both = [json.loads(line) for line in (toy.folder / "reward.jsonl").open()][:3]
    toy.write("held-out.jsonl", [*rows, *({**row, "rejected": "no"} for row in both)])
    lines: list[str] = []
    recipe = toy.recipe("reward", scoring={"tasks": ["held-out.jsonl"]})
    prepare(recipe, toy.folder / "out", say=lines.append)
    assert [line for line in lines if line.startswith("scoring:")] == [
        "scoring: 3 of the 63 pairs of held_out have a prompt that is trained on, which makes its "
        "score look better; leave them out of one of the two"
    ]


def test_pairs_that_prefer_nothing_are_left_out_and_counted(toy: Any) -> None:
    from olmes.trainers.stage import prepare

    good = {"prompt": "1", "chosen": "2", "rejected": "3"}
    toy.write(
        "reward.jsonl",
        [good, {**good, "rejected": "2"}, {**good, "chosen": ""}, {**good, "rejected": ""}],
    )
    lines: list[str] = []
    prepared = prepare(toy.recipe("reward"), toy.folder / "out", say=lines.append)
    assert len(prepared.mixture.rows) == 2
    assert "(1 left out: their two answers are the same)" in lines[0]
    assert "(1 left out: the chosen answer is empty)" in lines[0]
    toy.write("reward.jsonl", [{**good, "rejected": "2"}])
    with pytest.raises(OlmesError, match="has no row for reward"):
        prepare(toy.recipe("reward"), toy.folder / "other", say=lines.append)
    toy.write("reward.jsonl", [good, {"prompt": "1", "chosen": "2"}])
    with pytest.raises(OlmesError, match=r"reward.jsonl, row 2: a preference has"):
        prepare(toy.recipe("reward"), toy.folder / "third", say=lines.append)


def test_the_bundled_recipe_is_scored_on_pairs_of_other_prompts() -> None:
    recipe = read_recipe("small-reward", "reward")
    assert recipe.scoring.tasks == (str(bundled_data()["small-pairs"].resolve()),)
    rows = {
        name: {json.loads(line)["prompt"] for line in bundled_data()[name].open()}
        for name in ("small-dpo", "small-pairs")
    }
    assert not rows["small-dpo"] & rows["small-pairs"]
