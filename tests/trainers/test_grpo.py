"""GRPO: rewards against the scorers, advantages by hand, and a toy that learns to add."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.on_trl.grpo import build_grpo, fitting, reward_function, train_grpo
from olmes.trainers.rewards.verifiers import VerifierRewards
from tests.known import known

ECHO = Path(__file__).parents[1] / "olmes/files/echo_task.py"


def lengths(workshop: Any) -> None:
    """A verifier that even a random model meets now and then: six characters, whichever."""
    doc = {"word": "sixsix"}
    verifier = {"task": str(ECHO), "doc": doc, "metric": "length_match"}
    rows = [{"messages": f"{n}+{n}", "verifiers": [verifier]} for n in range(10, 30)]
    workshop.write("rlvr.jsonl", rows)


def test_training_rewards_are_the_scorers_verdicts(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every completion of a short training, scored again by the task itself."""
    from olmes.benchmark.registry import load_task
    from olmes.types import Response

    lengths(workshop)
    task: Any = load_task(str(ECHO))
    seen: list[tuple[str, str, float | None]] = []
    scale = 7.0

    def watch(prepared: Any, rewards: Any) -> Any:
        inner = reward_function(prepared, rewards)

        def verified(**given: Any) -> list[float | None]:
            found = inner(**given)
            texts = [completion[-1]["content"] for completion in given["completions"]]
            seen.extend(zip(given["verifiers"], texts, found, strict=True))
            return found

        return verified

    monkeypatch.setattr("olmes.trainers.on_trl.grpo.reward_function", watch)
    prepared = workshop.prepared("rlvr", reward_scale=scale, optimization={"max_steps": 3})
    train_grpo(prepared)
    assert len(seen) == 24
    for verifiers, text, reward in seen:
        verdict = task.score_length(json.loads(verifiers)[0]["doc"], Response(text=text))
        assert reward == scale * verdict.values["length_match"]
    assert {reward for *_, reward in seen} == {0.0, scale}
    rows = [json.loads(line) for line in (prepared.out / "train_log.jsonl").open()]
    for row in rows:
        assert row["verifier/echo"] * scale == pytest.approx(row["reward"])
        assert row["verifier/timeouts"] == 0
        assert 0 < row["completions/distinct_3"] <= 1
        assert row["kl"] >= 0


def batch_of(workshop: Any, **table: Any) -> tuple[Any, Any]:
    """A trainer and its first generated batch, with advantages."""
    lengths(workshop)
    prepared = workshop.prepared("rlvr", optimization={"micro_batch_size": 8}, **table)
    rows = fitting(prepared)
    with VerifierRewards(rows, scoring_processes=1, say=prepared.say) as rewards:
        trainer = build_grpo(prepared, rows, rewards)
        trainer.model.train()
        batch = next(iter(trainer.get_train_dataloader()))
        return trainer, trainer._prepare_inputs(batch)


def test_gradients_only_where_a_completion_is(workshop: Any) -> None:
    """Prompt and padding positions get none; where rewards differ within a group, tokens get some."""
    trainer, inputs = batch_of(workshop, beta=0.0)
    seen: list[Any] = []

    def keep(_: Any, __: Any, out: Any) -> None:
        out.retain_grad()
        seen.append(out)

    handle = trainer.model.model.norm.register_forward_hook(keep)
    trainer.current_gradient_accumulation_steps = 1
    trainer.compute_loss(trainer.model, inputs).backward()
    handle.remove()
    prompt = inputs["prompt_ids"].shape[1]
    moved = seen[0].grad.abs().sum(-1) > 0
    assert not moved[:, : prompt - 1].any()
    mask = inputs["completion_mask"].bool()
    wanted = mask & (inputs["advantages"].reshape(len(mask), -1) != 0)
    assert wanted.any()
    predicting = moved[:, prompt - 1 : prompt - 1 + mask.shape[1]]
    assert predicting.equal(wanted)


def test_advantages_are_rewards_against_their_group(workshop: Any) -> None:
    import torch

    trainer, inputs = batch_of(workshop)
    logged = trainer._logs["rewards"]["verified"]
    rewards = torch.tensor(list(logged)[-8:]).reshape(-1, 4)
    expected = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
    assert expected.abs().sum() > 0
    found = inputs["advantages"].reshape(-1)
    torch.testing.assert_close(torch.sort(found)[0], torch.sort(expected.flatten())[0])


def test_no_end_replaces_the_reward(workshop: Any) -> None:
    prepared = workshop.prepared("rlvr", missing_end_reward=-10.0, reward_scale=10.0)
    rows = fitting(prepared)
    held = rows[0]["verifiers"]
    answer = json.loads(held)[0]["doc"]["answer"]
    end = prepared.tokenizer.eos_token_id
    logged: dict[str, float] = {}
    with VerifierRewards(rows, scoring_processes=1, say=prepared.say) as rewards:
        found = reward_function(prepared, rewards)(
            prompts=[None] * 3,
            completions=[
                [{"role": "assistant", "content": text}] for text in (answer, answer, "x")
            ],
            completion_ids=[[5, end], [5, 6], [5, end]],
            verifiers=[held] * 3,
            log_metric=logged.__setitem__,
            trainer_state=None,
        )
    assert found == [10.0, -10.0, 0.0]
    assert logged["completions/ended"] == pytest.approx(2 / 3)


def test_long_prompts_are_left_out_with_a_word(workshop: Any) -> None:
    import dataclasses

    said: list[str] = []
    doc = {"word": "x"}
    rows = [
        {"messages": "y" * length, "verifiers": [{"task": str(ECHO), "doc": doc}]}
        for length in (3, 60)
    ]
    workshop.write("rlvr.jsonl", rows)
    prepared = dataclasses.replace(workshop.prepared("rlvr"), say=said.append)
    assert len(fitting(prepared)) == 1
    assert said == ["1 of 2 prompts left out: over 32 tokens"]
    tight = workshop.prepared("rlvr", max_prompt_length=2)
    with pytest.raises(OlmesError, match="longer than max_prompt_length"):
        fitting(tight)


DR_GRPO = {"loss_type": "dr_grpo", "scale_rewards": "none", "epsilon_high": 0.28}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "trl"),
    [(0, {}), (1, {}), (2, {}), (0, DR_GRPO)],
    ids=["seed-0", "seed-1", "seed-2", "dr-grpo-and-clip-higher"],
)
def test_a_toy_taught_to_add_half_the_time_adds_better_after_grpo(
    workshop: Any, warm_start: Any, addition_file: Path, tmp_path: Path, seed: int,
    trl: dict[str, Any],
) -> None:  # fmt: skip
    """Held-out sums: what `olmes compare` says of the two runs; TRL's own settings reach it."""
    from olmes import evaluate
    from olmes.benchmark.registry import module_from_file
    from olmes.comparison.compare import compare_runs

    docs = module_from_file(addition_file).training_docs()
    workshop.write(
        "rlvr.jsonl",
        [
            {
                "messages": doc["question"],
                "verifiers": [{"task": str(addition_file), "doc": doc}],
            }
            for doc in docs[:4000]
        ],
    )

    def scored(model: Path) -> Any:
        return evaluate(str(addition_file), model=str(model), out=tmp_path / "runs")

    start = warm_start(seed=seed)
    prepared = workshop.prepared(
        "rlvr",
        model=str(start),
        seed=seed,
        trl=trl,
        beta=0.0,
        generations=8,
        reward_scale=1.0,
        max_completion_length=5,
        optimization={
            "learning_rate": 3e-4,
            "schedule": "constant",
            "batch_size": 256,
            "micro_batch_size": 256,
            "max_steps": 120,
        },
        checkpoints={"every": 120},
    )
    final = train_grpo(prepared)
    [task] = compare_runs(scored(start), scored(final)).tasks
    difference = known(task.difference)
    print(f"seed {seed}: {difference.sentence}")
    assert difference.verdict == "better"
    # The reward (sampled, training sums) and the dev score (greedy, held-out ones) agree.
    log = [json.loads(line) for line in (prepared.out / "train_log.jsonl").open()]
    early, late = (sum(row["reward"] for row in rows) / 10 for rows in (log[:10], log[-10:]))
    print(f"  reward {early:.3f} -> {late:.3f}, score {known(task.a.value):.3f} -> ", end="")
    print(f"{known(task.b.value):.3f}")
    assert late > early
    assert abs(late - known(task.b.value)) < 0.3
