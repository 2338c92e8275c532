"""Training with a model's own template through the command, and where what it learned ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.conftest import ADDITION
from tests.trainers.launching import Launcher
from tests.trainers.templates_of_trl import FAMILIES, template, tokenizer

RECIPE = """
model = "{model}"
template = "{template}"
max_length = {length}
{more}
[data]
"{data}" = {{ fraction = 1.0 }}
[optimization]
learning_rate = 1e-2
batch_size = 8
micro_batch_size = 8
max_steps = {steps}
warmup_ratio = 0.0
schedule = "constant"
[hardware]
device = "cpu"
"""


def base_model(folder: Path, coder: Any) -> Path:
    """A tiny model whose checkpoint names one end: that of a text."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(coder),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            eos_token_id=coder.eos_token_id,
            pad_token_id=coder.pad_token_id,
            bos_token_id=coder.bos_token_id,
        )
    )
    model.generation_config = GenerationConfig(
        eos_token_id=coder.eos_token_id, pad_token_id=coder.pad_token_id
    )
    model.save_pretrained(folder)
    coder.save_pretrained(folder)
    return folder


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def cache(folder: Path) -> dict[str, str]:
    """A cache of a test's own."""
    return {"OLMES_CACHE": str(folder / "cache")}


def train(
    launcher: Launcher, folder: Path, stage: str, name: str = "", **given: Any
) -> tuple[Path, str]:
    """Train a stage on STAGE.jsonl of a folder: its last state, and what was printed."""
    name = name or stage
    filled = {"length": 4096, "steps": 2, "more": "", "template": "model", "data": f"{stage}.jsonl"}
    (folder / f"{name}.toml").write_text(RECIPE.format(**{**filled, **given}))
    said = launcher.start(["train", stage, f"{name}.toml"], folder, env=cache(folder)).good()
    return folder / f"trained/{name}/final", said


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_trains_with_its_own_template(
    launcher: Launcher, tmp_path: Path, family: str
) -> None:
    model = base_model(tmp_path / "model", tokenizer(family))
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Say one."},
        {"role": "assistant", "content": "One"},
        {"role": "user", "content": "Say two."},
        {"role": "assistant", "content": "Two"},
    ]
    write_rows(tmp_path / "sft.jsonl", [{"messages": turns}] * 8)
    final, said = train(launcher, tmp_path, "sft", model=model)
    assert "is trained on with" in said
    assert "left out" not in said
    log = (tmp_path / "trained/sft/train_log.jsonl").read_text("utf-8").splitlines()
    losses = [json.loads(line)["loss"] for line in log]
    assert len(losses) == 2
    assert losses[1] < losses[0]
    assert (final / "chat_template.jinja").read_text("utf-8") == template(family)
    pair = {
        "prompt": turns[:4],
        "chosen": turns[4:],
        "rejected": [{"role": "assistant", "content": "Well, two"}],
    }
    write_rows(tmp_path / "dpo.jsonl", [pair] * 8)
    _, said = train(launcher, tmp_path, "dpo", model=model)
    assert "left out" not in said


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.slow
def test_what_was_learned_ends_where_scoring_and_rewards_stop(
    launcher: Launcher, tmp_path: Path
) -> None:
    """A base model that ends texts with <eos>, and a template that ends turns with <|im_end|>."""
    coder = tokenizer("qwen2_5_vl")
    model = base_model(tmp_path / "model", coder)
    (tmp_path / "mine.jinja").write_text(CHATML)
    turns = [{"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"}]
    write_rows(tmp_path / "sft.jsonl", [{"messages": turns}] * 8)
    trained, said = train(
        launcher, tmp_path, "sft", model=model, template="mine.jinja", steps=25, length=64
    )
    assert "answers end with '<|im_end|>', at which the model does not stop so far" in said
    end = coder.convert_tokens_to_ids("<|im_end|>")
    for folder in (trained, tmp_path / "trained/sft/checkpoint-25"):
        settings = json.loads((folder / "generation_config.json").read_text("utf-8"))
        assert end in settings["eos_token_id"]
        assert coder.eos_token_id in settings["eos_token_id"]
    assert json.loads((trained / "tokenizer_config.json").read_text())["eos_token"] == "<|im_end|>"

    run: list[str | Path] = [
        "run",
        "--model",
        trained,
        "--task",
        ADDITION,
        "--limit",
        "3",
        "--out",
        "runs",
    ]
    launcher.start([*run, "--device", "cpu"], tmp_path, env=cache(tmp_path)).good()
    [samples] = (tmp_path / "runs").glob("*/samples/addition.jsonl")
    rows = [json.loads(line) for line in samples.read_text("utf-8").splitlines()]
    assert [row["response"]["finish"] for row in rows] == ["stop"] * 3

    verifier = {"task": str(ADDITION), "doc": {"question": "1+1", "answer": "2"}}
    write_rows(tmp_path / "rlvr.jsonl", [{"messages": turns, "verifiers": [verifier]}] * 8)
    more = "generations = 4\nmax_prompt_length = 32\nmax_completion_length = 6"
    _, said = train(launcher, tmp_path, "rlvr", model=trained, more=more, length=64)
    assert "at which the model does not stop" not in said
    log = (tmp_path / "trained/rlvr/train_log.jsonl").read_text("utf-8").splitlines()
    assert json.loads(log[0])["completions/ended"] > 0.8


def test_odd_chats_are_counted_and_the_others_trained_on(
    launcher: Launcher, tmp_path: Path
) -> None:
    """Gemma's template has no system turn and refuses two questions in a row."""
    model = base_model(tmp_path / "model", tokenizer("gemma"))
    good = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Say one."},
        {"role": "assistant", "content": " One\n"},
    ]
    bad = [{"role": "user", "content": "Well,"}, *good[1:]]
    write_rows(tmp_path / "sft.jsonl", [{"messages": good}] * 15 + [{"messages": bad}])
    _, said = train(launcher, tmp_path, "sft", model=model)
    assert "1 of 16 chats left out: the chat template does not take the chat (Conversation" in said
    assert "'Well,' ..." in said
    assert "15 of 16 chats: an answer is rendered in other words" in said
    write_rows(tmp_path / "sft.jsonl", [{"messages": bad}] * 8)
    again = ["train", "sft", "sft.toml", "--out", "other"]
    running = launcher.start(again, tmp_path, env=cache(tmp_path))
    assert running.wait() == [2]
    assert "8 of 8 chats cannot be trained on with this chat template: the" in running.text()
    assert "(first row 1 of the mixture, 'Well,' ...); leave them out of the data" in running.text()


def test_a_beginning_that_scoring_adds_is_said(launcher: Launcher, tmp_path: Path) -> None:
    from tokenizers import processors

    coder = tokenizer.__wrapped__("lfm2_v2")  # another one, as it is changed
    coder.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", coder.bos_token_id)]
    )
    model = base_model(tmp_path / "model", coder)
    turns = [{"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"}]
    write_rows(tmp_path / "sft.jsonl", [{"messages": turns}] * 8)
    words = "training is without '<bos>', which the template does not write"
    _, said = train(launcher, tmp_path, "sft", "without", model=model, template="tulu")
    assert said.count(words) == 1
    _, said = train(launcher, tmp_path, "sft", "with", model=model)
    assert words not in said
