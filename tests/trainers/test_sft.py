"""SFT: the loss against a hand computation, gradients on the right tokens, packing, resuming."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.on_trl.sft import build_sft, labelled, train_sft
from olmes.trainers.templates.labels import IGNORED
from olmes.trainers.train import train
from tests.trainers.taught import trained_texts


def hand_losses(model: Any, batch: dict[str, Any]) -> Any:
    """Cross-entropy of each trained token, from the logits: no code of TRL or the trainer."""
    import torch

    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    labels = batch["labels"][:, 1:]
    flat = torch.nn.functional.cross_entropy(
        logits[:, :-1].reshape(-1, logits.shape[-1]).float(),
        labels.reshape(-1),
        ignore_index=IGNORED,
        reduction="none",
    )
    return flat[labels.reshape(-1) != IGNORED]


def gradients(trainer: Any) -> dict[str, Any]:
    """The gradient of one whole update, accumulated as in training, before any step."""
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    batches = iter(trainer.get_train_dataloader())
    inputs, count = trainer.get_batch_samples(
        batches, trainer.args.gradient_accumulation_steps, trainer.args.device
    )
    for batch in inputs:
        trainer.training_step(trainer.model, batch, count)
    found = {name: p.grad.clone() for name, p in trainer.model.named_parameters()}
    trainer.model.zero_grad()
    return {"batches": inputs, "grads": found}


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_update_is_the_hand_computed_one(workshop: Any, reduction: str) -> None:
    """sum: all tokens' losses over A x W; mean: over the number of trained tokens of the window.

    The micro-batches have different numbers of trained tokens, so that a mean of means would show.
    """
    import torch

    rows = [
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "x" * n}]}
        for n in range(1, 17)
    ]
    workshop.write("sft.jsonl", rows)
    trainer = build_sft(workshop.prepared("sft", loss_reduction=reduction))
    ours = gradients(trainer)
    losses = [hand_losses(trainer.model, batch) for batch in ours["batches"]]
    assert len(losses) == 2
    assert len({len(part) for part in losses}) == 2
    together = torch.cat(losses)
    expected = together.sum() / 2 if reduction == "sum" else together.mean()
    expected.backward()
    for name, parameter in trainer.model.named_parameters():
        torch.testing.assert_close(
            ours["grads"][name], parameter.grad, rtol=1e-4, atol=1e-6, msg=name
        )


def test_masked_tokens_get_no_gradient_and_trained_ones_do(workshop: Any) -> None:
    """A prompt's token is predicted by nothing that is learned: its row of the head stays still."""
    rows = [
        {"messages": [{"role": "user", "content": "ABC"}, {"role": "assistant", "content": "xyz"}]}
    ] * 8
    workshop.write("sft.jsonl", rows)
    prepared = workshop.prepared("sft", optimization={"micro_batch_size": 8})
    trainer = build_sft(prepared)
    trainer.model.train()
    [batch] = list(trainer.get_train_dataloader())[:1]
    outputs = trainer.model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        output_hidden_states=True,
    )
    outputs.logits.retain_grad()
    losses = -outputs.logits[:, :-1].log_softmax(-1).gather(-1, batch["input_ids"][:, 1:, None])
    trained = batch["labels"][:, 1:] != IGNORED
    losses[..., 0][trained].sum().backward()
    hand = outputs.logits.grad[:, :-1].abs().sum(-1) > 0
    assert hand.equal(trained)
    # The trainer's own loss moves with the logits at the same places and nowhere else.
    import torch

    trainer.model.zero_grad()
    seen: list[Any] = []

    def keep(_: Any, __: Any, out: Any) -> None:
        out.retain_grad()
        seen.append(out)

    handle = trainer.model.model.norm.register_forward_hook(keep)
    loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=torch.tensor(1))
    loss.backward()
    handle.remove()
    moved = seen[0].grad[:, :-1].abs().sum(-1) > 0
    assert moved.equal(trained)


def test_labels_of_real_rows_decode_to_the_answers(workshop: Any) -> None:
    prepared = workshop.prepared("sft")
    rows = labelled(prepared)
    for chat, row in zip(prepared.mixture.rows, rows, strict=True):
        [text] = trained_texts(prepared.tokenizer, row["labels"])
        assert text == chat["messages"][-1]["content"] + "<|end|>"


def test_training_writes_whole_checkpoints_a_log_and_the_last_state(
    workshop: Any, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = tmp_path / "sft"
    recipe = workshop.recipe("sft", checkpoints={"every": 2})
    said: list[str] = []
    final = train(recipe, out, say=said.append)
    assert {"checkpoint-2", "checkpoint-4", "final", "recipe.json", "done.json"} <= {
        path.name for path in out.iterdir()
    }
    log = [json.loads(line) for line in (out / "train_log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == [1, 2, 3, 4]
    assert log[-1]["loss_per_token"] < log[0]["loss_per_token"]
    AutoModelForCausalLM.from_pretrained(final)
    plain = AutoTokenizer.from_pretrained(final).chat_template
    assert "{%- generation" not in plain
    lineage = json.loads((final / "lineage.json").read_text())
    assert lineage[-1]["method"] == "sft"
    assert lineage[-1]["step"] == 4
    assert train(recipe, out, say=said.append) == final
    assert "nothing to do" in said[-1]
    with pytest.raises(OlmesError, match="another recipe"):
        train(workshop.recipe("sft", seed=4), out, say=said.append)


def weights(folder: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights(workshop: Any, tmp_path: Path) -> None:
    recipe = workshop.recipe("sft", checkpoints={"every": 1})
    whole = train(recipe, tmp_path / "whole", say=lambda _: None)
    stopped = tmp_path / "stopped"
    shutil.copytree(tmp_path / "whole", stopped)
    for name in ("final", "checkpoint-4"):
        shutil.rmtree(stopped / name)
    (stopped / "done.json").unlink()
    # A save that was cut short: the newest folder, but without its last file.
    (stopped / "checkpoint-3/trainer_state.json").unlink()
    said: list[str] = []
    again = train(recipe, stopped, say=said.append)
    assert "resumes from checkpoint-2" in said
    for name, tensor in weights(whole).items():
        assert tensor.equal(weights(again)[name]), name
    log = [json.loads(line) for line in (stopped / "train_log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == [1, 2, 3, 4]


def test_packed_chats_have_the_labels_of_separate_ones(workshop: Any) -> None:
    """First tokens of packed chats are the template's, so no label is lost."""
    trainer = build_sft(workshop.prepared("sft", packing=True))
    packed = [label for row in trainer.train_dataset for label in row["labels"] if label >= 0]
    single = build_sft(workshop.prepared("sft"))
    apart = [label for row in single.train_dataset for label in row["labels"] if label >= 0]
    assert sorted(packed) == sorted(apart)
    assert len(trainer.train_dataset) < len(single.train_dataset)


def test_adapters_are_trained_alone_and_merged_at_the_end(workshop: Any) -> None:
    prepared = workshop.prepared("sft", lora={"rank": 2}, optimization={"learning_rate": 1e-2})
    final = train_sft(prepared)
    assert (prepared.out / "checkpoint-4/adapter_model.safetensors").is_file()
    assert not (final / "adapter_config.json").exists()
    before, after = weights(prepared.model), weights(final)
    assert before.keys() == after.keys()
    moved = {name for name in before if not before[name].equal(after[name])}
    assert moved
    assert all(".self_attn." in name or ".mlp." in name for name in moved)


def test_nothing_within_the_length_is_refused(workshop: Any) -> None:
    with pytest.raises(OlmesError, match=r"within max_length \(3 tokens\)"):
        build_sft(workshop.prepared("sft", max_length=3))


def test_a_template_that_ends_no_answer_is_refused(workshop: Any, tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    with pytest.raises(OlmesError, match="would never learn to end one"):
        build_sft(workshop.prepared("sft", template="own.jinja"))


def test_a_training_from_another_model_is_refused(
    workshop: Any, tmp_path: Path, build_chat: Any
) -> None:
    out = tmp_path / "out"
    train(workshop.recipe("sft", optimization={"max_steps": 1}), out, say=lambda _: None)
    other = build_chat(tmp_path / "other", seed=1)
    with pytest.raises(OlmesError, match="began from another model"):
        train(
            workshop.recipe("sft", model=str(other), optimization={"max_steps": 1}),
            out, say=lambda _: None,
        )  # fmt: skip
