"""Reward models: the loss by hand, what `final/` is, and PPO that begins from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.chain import read_chain, run_chain, stage_before
from olmes.trainers.on_trl.dpo import build_dpo
from olmes.trainers.on_trl.reward import build_reward
from olmes.trainers.ppo.models import value_model
from olmes.trainers.recipes.files import make_recipe
from olmes.trainers.train import train


@pytest.fixture
def pairs(workshop: Any) -> Any:
    """The workshop whose pairs differ in something that can be learned in some updates."""
    sums = [(f"{a}+{a + 7}", str(2 * a + 7)) for a in range(10, 42)]
    rows = [{"prompt": q, "chosen": a, "rejected": f"not {a} but {q}"} for q, a in sums]
    workshop.write("reward.jsonl", rows)
    return workshop


def test_loss_is_the_hand_computed_one(pairs: Any) -> None:
    import torch

    trainer = build_reward(pairs.prepared("reward"))
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    loss = trainer.compute_loss(trainer.model, dict(batch))
    rewards = []
    for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
        alone = ids[mask.bool()][None]
        hidden = trainer.model.base_model(input_ids=alone).last_hidden_state[0, -1]
        rewards.append(hidden @ trainer.model.score.weight[0])
    chosen, rejected = torch.stack(rewards).chunk(2)
    expected = torch.nn.functional.softplus(rejected - chosen).mean()
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-5)


def test_the_head_is_drawn_as_published_and_by_the_seed(pairs: Any) -> None:
    heads = []
    for seed in (3, 3, 4):
        trainer = build_reward(pairs.prepared("reward", seed=seed))
        heads.append(trainer.model.score.weight.detach().clone())
    assert heads[0].equal(heads[1])
    assert not heads[0].equal(heads[2])
    # 128 numbers of deviation 1/sqrt(129): theirs is within a quarter of it in all but 1 of 1000 draws.
    assert 0.75 < heads[0].std().item() * 129**0.5 < 1.25


def test_it_learns_and_its_last_state_is_a_value_model(pairs: Any, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    out = tmp_path / "out"
    recipe = pairs.recipe("reward", optimization={"max_steps": 12})
    final = train(recipe, out, say=lambda _: None)
    log = [json.loads(line) for line in (out / "train_log.jsonl").read_text().splitlines()]
    assert log[-1]["accuracy"] == 1.0
    assert log[-1]["margin"] > log[0]["margin"]
    assert log[-1]["loss"] < 0.5 * log[0]["loss"]
    config = json.loads((final / "config.json").read_text())
    assert config["architectures"] == ["LlamaForSequenceClassification"]
    saved = AutoModelForSequenceClassification.from_pretrained(final)
    assert saved.num_labels == 1
    critic = value_model(None, final)
    ids = torch.tensor([[5, 9, 30, 31, 1]])
    with torch.no_grad():
        value = critic(ids, torch.ones_like(ids))[0, -1]
        reward = saved(input_ids=ids[:, :-1]).logits[0, 0]
    torch.testing.assert_close(value, reward)
    # A reward model goes on from its own head.
    again = build_reward(pairs.prepared("reward", model=str(final)))
    assert again.model.score.weight.equal(saved.score.weight)


def test_adapters_are_merged_with_their_head(pairs: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    recipe = pairs.recipe("reward", lora={"rank": 4}, optimization={"max_steps": 2})
    final = train(recipe, tmp_path / "out", say=lambda _: None)
    saved = AutoModelForSequenceClassification.from_pretrained(final)
    fresh = build_reward(pairs.prepared("reward"))
    assert not saved.score.weight.equal(fresh.model.score.weight)
    before = fresh.model.base_model.layers[0].self_attn.q_proj.weight
    assert not saved.base_model.layers[0].self_attn.q_proj.weight.equal(before)


def test_pairs_that_are_too_long_are_counted(pairs: Any) -> None:
    rows = [{"prompt": "1+8", "chosen": "9", "rejected": "8"}] * 8
    pairs.write("reward.jsonl", [*rows, {"prompt": "1", "chosen": "2", "rejected": "3" * 99}])
    said: list[str] = []
    prepared = pairs.prepared("reward")
    object.__setattr__(prepared, "say", said.append)
    assert len(build_reward(prepared).train_dataset) == 8
    assert said == ["1 of 9 pairs left out: over 64 tokens"]
    pairs.write("reward.jsonl", [{"prompt": "1", "chosen": "2", "rejected": "3" * 99}])
    with pytest.raises(OlmesError, match="every pair is longer than max_length"):
        build_reward(pairs.prepared("reward"))


def test_what_cannot_be_is_one_sentence(pairs: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, MambaConfig, MambaForCausalLM

    with pytest.raises(OlmesError, match="writes no text, so that no suite can score it"):
        pairs.recipe("reward", scoring={"suite": "dev"})
    several = AutoModelForSequenceClassification.from_pretrained(pairs.model, num_labels=3)
    start = tmp_path / "several"
    several.save_pretrained(start)
    tokenizer = pairs.prepared("reward").tokenizer
    tokenizer.save_pretrained(start)
    with pytest.raises(OlmesError, match="a classifier for several labels"):
        build_reward(pairs.prepared("reward", model=str(start)))
    with pytest.raises(OlmesError, match="scores texts and writes none"):
        build_dpo(pairs.prepared("dpo", model=str(start)))
    other = tmp_path / "other"
    MambaForCausalLM(
        MambaConfig(hidden_size=16, num_hidden_layers=1, vocab_size=105)
    ).save_pretrained(other)
    tokenizer.save_pretrained(other)
    with pytest.raises(OlmesError, match="no sequence classifier of .*a mamba"):
        build_reward(pairs.prepared("reward", model=str(other)))


RECIPE = """
model = "{model}"
template = "tulu"
max_length = 64
[data]
"reward.jsonl" = {{ fraction = 1.0 }}
[optimization]
learning_rate = 1e-3
batch_size = 8
micro_batch_size = 2
max_steps = 4
[hardware]
device = "cpu"
processes = {processes}
strategy = "{strategy}"
[checkpoints]
every = 2
"""


FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}
"""What `accelerate launch` tells its processes."""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_learn_what_one_does(launcher: Any, pairs: Any, strategy: str) -> None:
    import torch
    from safetensors.torch import load_file

    found = []
    for processes in (1, 2):
        recipe = pairs.folder / f"in-{processes}.toml"
        recipe.write_text(RECIPE.format(model=pairs.model, processes=processes, strategy=strategy))
        arguments = ["train", "reward", recipe]
        env = FSDP if strategy == "fsdp" and processes == 2 else {}
        launcher.start(arguments, pairs.folder, processes=processes, env=env).good()
        found.append(load_file(pairs.folder / f"trained/in-{processes}/final/model.safetensors"))
    assert found[0].keys() == found[1].keys()
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], atol=1e-5, rtol=0, msg=name)


@pytest.mark.slow
def test_a_killed_training_goes_on_exactly(pairs: Any, launcher: Any) -> None:
    import shutil

    recipe = pairs.folder / "mine.toml"
    recipe.write_text(RECIPE.format(model=pairs.model, processes=1, strategy="ddp"))
    launcher.start(["train", "reward", recipe, "--out", "whole"], pairs.folder).good()
    out = pairs.folder / "killed"
    shutil.copytree(pairs.folder / "whole", out)
    for name in ("final", "checkpoint-4"):
        shutil.rmtree(out / name)
    (out / "done.json").unlink()
    said = launcher.start(["train", "reward", recipe, "--out", "killed"], pairs.folder).good()
    assert "resumes from checkpoint-2" in said
    a, b = (pairs.folder / name / "final/model.safetensors" for name in ("whole", "killed"))
    assert a.read_bytes() == b.read_bytes()


CHAIN = """
model = "{model}"
template = "tulu"
max_length = 64
hardware = {{ device = "cpu" }}
optimization = {{ batch_size = 8, micro_batch_size = 8, max_steps = 2, learning_rate = 1e-3 }}
[sft]
data = {{ "sft.jsonl" = {{ fraction = 1.0 }} }}
[reward]
data = {{ "reward.jsonl" = {{ fraction = 1.0 }} }}
[rlvr]
data = {{ "rlvr.jsonl" = {{ fraction = 1.0 }} }}
algorithm = "ppo"
max_completion_length = 4
"""


@pytest.mark.slow
def test_ppo_of_a_chain_begins_its_value_model_as_the_reward_model(
    pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    from olmes.trainers.ppo import train as ppo_train

    begun: list[dict[str, Any]] = []

    def watched(*args: Any) -> Any:
        made = value_model(*args)
        begun.append({name: tensor.clone() for name, tensor in made.state_dict().items()})
        return made

    monkeypatch.setattr(ppo_train, "value_model", watched)
    path = pairs.folder / "chain.toml"
    path.write_text(CHAIN.format(model=pairs.model))
    out = pairs.folder / "chain"
    run_chain(read_chain(path), out, say=lambda _: None)
    stored = {s: json.loads((out / s / "recipe.json").read_text()) for s in ("reward", "rlvr")}
    assert stored["rlvr"]["recipe"]["ppo"]["value"] == str(out / "reward/final")
    assert stored["rlvr"]["recipe"]["model"] == str(out / "sft/final")
    assert stored["reward"]["model"] == stored["rlvr"]["model"]
    assert (out / "rlvr/final/config.json").is_file()
    (weights,) = begun  # as PPO had them before its first update
    stored_weights = load_file(out / "reward/final/model.safetensors")
    assert len(weights) == len(stored_weights)
    assert weights["head.weight"].equal(stored_weights["score.weight"])
    for name, tensor in stored_weights.items():
        if name != "score.weight":
            assert weights[f"backbone.{name.removeprefix('model.')}"].equal(tensor), name


def test_where_a_chains_stages_begin(pairs: Any) -> None:
    path = pairs.folder / "chain.toml"
    text = CHAIN.format(model=pairs.model)
    dpo = '[dpo]\ndata = { "dpo.jsonl" = { fraction = 1.0 } }\n'
    scoring = 'scoring = { suite = "dev" }\n'
    path.write_text(scoring + text.replace("[reward]", f"{dpo}[reward]"))
    chain = read_chain(path)
    before = {r.stage: stage_before(chain, r.stage) for r in chain.stages}
    named = {stage: recipe.stage if recipe else None for stage, recipe in before.items()}
    assert named == {"sft": None, "dpo": "sft", "reward": "sft", "rlvr": "dpo"}
    assert [r.scoring.suite for r in chain.stages] == ["dev", "dev", "", "dev"]
    path.write_text(
        text.replace('"ppo"', '"grpo"').replace("max_completion", "generations = 4\nmax_completion")
    )
    with pytest.raises(OlmesError, match="is for the value model of PPO"):
        read_chain(path)
    path.write_text(text + '[rlvr.ppo]\nvalue = "other"\n')
    with pytest.raises(OlmesError, match="beside the one of"):
        read_chain(path)


def test_a_reward_model_reads_preferences(workshop: Any) -> None:
    table = {"model": str(workshop.model), "data": {"dpo.jsonl": {"fraction": 1.0}}}
    assert make_recipe("reward", table, str(workshop.folder / "r.toml")).stage == "reward"
