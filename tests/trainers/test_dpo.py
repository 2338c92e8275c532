"""DPO: loss, margins and gradients against a computation of our own from the logits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from olmes.trainers.on_trl.dpo import build_dpo, train_dpo


def mean_logprobs(model: Any, ids: list[int], prompt: int) -> Any:
    """Mean log-probability of the completion's tokens, one sequence at a time, without padding."""
    import torch

    tokens = torch.tensor([ids])
    logps = model(input_ids=tokens).logits[0, :-1].double().log_softmax(-1)
    chosen = logps.gather(-1, tokens[0, 1:, None])[:, 0]
    return chosen[prompt - 1 :].mean()


def hand_loss(policy: Any, reference: Any, rows: list[Any], beta: float) -> tuple[Any, Any]:
    """-log sigmoid(beta * difference of the length-normalized log-ratios), and the margins."""
    import torch

    margins = []
    for row in rows:
        start = len(row["prompt_ids"])
        ratio = {}
        for side in ("chosen", "rejected"):
            ids = row["prompt_ids"] + row[f"{side}_ids"]
            with torch.no_grad():
                anchor = mean_logprobs(reference, ids, start)
            ratio[side] = mean_logprobs(policy, ids, start) - anchor
        margins.append(beta * (ratio["chosen"] - ratio["rejected"]))
    stacked = torch.stack(margins)
    return -torch.nn.functional.logsigmoid(stacked).mean(), stacked


def perturb(model: Any) -> None:
    """Move the policy away from the reference, where the loss would be log 2 whatever it is."""
    import torch

    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)


def built(workshop: Any, **table: Any) -> Any:
    prepared = workshop.prepared("dpo", **table)
    trainer = build_dpo(prepared)
    perturb(trainer.model)
    trainer.model.train()
    batch = next(iter(trainer.get_train_dataloader()))
    rows = [row for row in trainer.train_dataset if matches(row, batch)]
    return prepared, trainer, batch, rows


def matches(row: Any, batch: Any) -> bool:
    """Whether a row is one of the batch's chosen halves."""
    ids = row["prompt_ids"] + row["chosen_ids"]
    half = batch["input_ids"][: len(batch["input_ids"]) // 2].tolist()
    return any(found[: len(ids)] == ids for found in half)


def test_loss_margins_and_gradients_are_the_hand_computed_ones(workshop: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    prepared, trainer, batch, rows = built(workshop)
    assert len(rows) == 4
    assert len({len(row["rejected_ids"]) for row in rows} | {len(rows[0]["chosen_ids"])}) > 1
    loss = trainer.compute_loss(trainer.model, dict(batch))
    loss.backward()
    ours = {name: p.grad.clone() for name, p in trainer.model.named_parameters()}
    trainer.model.zero_grad()
    reference = AutoModelForCausalLM.from_pretrained(prepared.model)
    expected, margins = hand_loss(trainer.model, reference, rows, beta=5.0)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    assert abs(loss.item() - 0.6931) > 1e-3  # the policy is not the reference
    logged = trainer._metrics["train"]
    assert logged["normalized_margin"][-1] == pytest.approx(margins.mean().item(), abs=1e-5)
    assert logged["normalized_accuracy"][-1] == (margins > 0).double().mean().item()
    # TRL's own is a sum over tokens: another number, on another scale.
    assert abs(logged["rewards/margins"][-1] - margins.mean().item()) > 0.1
    expected.backward()
    for name, parameter in trainer.model.named_parameters():
        torch.testing.assert_close(ours[name], parameter.grad, rtol=1e-4, atol=1e-6, msg=name)
    assert any(grad.abs().sum() > 0 for grad in ours.values())


def test_prompts_and_padding_get_no_gradient(workshop: Any) -> None:
    _, trainer, batch, _ = built(workshop)
    seen: list[Any] = []

    def keep(_: Any, __: Any, out: Any) -> None:
        out.retain_grad()
        seen.append(out)

    handle = trainer.model.model.norm.register_forward_hook(keep)
    trainer.compute_loss(trainer.model, dict(batch)).backward()
    handle.remove()
    moved = seen[0].grad[:, :-1].abs().sum(-1) > 0
    assert moved.equal(batch["completion_mask"][:, 1:].bool())


def test_the_reference_reads_once_and_is_remembered_by_content(
    workshop: Any, build_chat: Any, tmp_path: Any
) -> None:
    import shutil

    said: list[str] = []

    def reads(**table: Any) -> bool:
        from dataclasses import replace

        said.clear()
        prepared = replace(workshop.prepared("dpo", **table), say=said.append)
        trainer = build_dpo(prepared)
        reads.columns = trainer.train_dataset["ref_chosen_logps"]  # type: ignore[attr-defined]
        [line] = [line for line in said if "reference" in line]
        return "once" in line

    assert reads()
    first = list(reads.columns)  # type: ignore[attr-defined]
    assert not reads()
    assert reads.columns == pytest.approx(first)  # type: ignore[attr-defined]
    assert not reads(beta=0.1)  # what the log-probabilities do not depend on
    assert reads(max_length=12)
    copy = tmp_path / "copy"
    shutil.copytree(workshop.model, copy)
    assert not reads(model=str(copy))  # the same content in another place
    other = build_chat(tmp_path / "other", seed=5)
    shutil.copy(other / "model.safetensors", copy / "model.safetensors")
    assert reads(model=str(copy))  # another content in the same place


def test_training_separates_the_pairs(workshop: Any) -> None:
    prepared = workshop.prepared("dpo")
    train_dpo(prepared)
    rows = [json.loads(line) for line in (prepared.out / "train_log.jsonl").open()]
    assert rows[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert rows[-1]["loss"] < 0.1
    assert rows[-1]["normalized_accuracy"] == 1.0
