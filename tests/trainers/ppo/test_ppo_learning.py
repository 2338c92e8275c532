"""PPO teaches: a toy policy half taught to add gets better at sums it never saw, three seeds each.

The three seeds start from one SFT checkpoint, as RLVR starts from one DPO checkpoint: they differ in
the order of prompts, in every sample and in the value model's head.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from olmes import stats

pytestmark = pytest.mark.slow
SEEDS = (0, 1, 2)
UPDATES, EVERY = 120, 30


@dataclass(frozen=True)
class Run:
    """One training and what its checkpoints are worth."""

    history: list[dict[str, float]]
    before: list[float]
    """Greedy verdicts on the task's 500 items, before."""
    after: list[float]
    sampled: list[list[float]]
    """Verdicts of responses sampled at temperature 1, before and at every checkpoint."""


@pytest.fixture(scope="module")
def dev(addition_file: Path) -> Callable[..., list[float]]:
    """Verdicts on the 500 items no training has seen, by the task's own scorer."""

    def score(folder: Path, *, sample: bool) -> list[float]:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from olmes import Response
        from olmes.benchmark.registry import module_from_file
        from olmes.trainers.ppo.rollout import encode_prompt, pad_left

        task = module_from_file(addition_file).TASK
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder)
        docs = task.generated()
        asked = [encode_prompt({"prompt": task.request(d).messages}, tokenizer) for d in docs]
        ids, attention = pad_left(asked, tokenizer.pad_token_id)
        torch.manual_seed(0)
        how = {"do_sample": True, "top_k": 0} if sample else {"do_sample": False}
        out = model.generate(input_ids=ids, attention_mask=attention, max_new_tokens=5, **how)
        texts = tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
        return [
            float(task.score(doc, Response(text=text)).values["exact_match"])
            for doc, text in zip(docs, texts, strict=True)
        ]

    return score


@pytest.fixture(scope="module")
def runs(
    addition_file: Path, warm_start: Any, dev: Any, tmp_path_factory: Any
) -> Callable[[bool], list[Run]]:
    """Three trainings, synchronous or asynchronous; each made once."""
    made: dict[tuple[bool, int], Run] = {}

    def train(asynchronous: bool, seed: int) -> Run:
        from transformers import AutoTokenizer

        from olmes.benchmark.registry import module_from_file
        from olmes.trainers.ppo import PPOConfig, train_ppo

        start = warm_start(280, 0)
        rows = [
            {"prompt": [{"role": "user", "content": doc["question"]}], "answer": doc["answer"]}
            for doc in module_from_file(addition_file).training_docs()
        ]
        config = PPOConfig(
            updates=UPDATES, batch_size=128, learning_rate=3e-4, max_completion_length=5, seed=seed,
            generation_batch_size=128, micro_batch_size=128, save_every=EVERY, updates_per_batch=2,
        )  # fmt: skip
        folder = tmp_path_factory.mktemp("run")
        trained = train_ppo(
            config, policy=start, tokenizer=AutoTokenizer.from_pretrained(start), rows=rows,
            reward=exact, output_dir=folder, asynchronous=asynchronous,
        )  # fmt: skip
        saved = [folder / f"checkpoint-{n}" for n in range(EVERY, UPDATES + 1, EVERY)]
        assert trained.checkpoint == saved[-1]
        return Run(
            trained.history, dev(start, sample=False), dev(saved[-1], sample=False),
            [dev(checkpoint, sample=True) for checkpoint in [start, *saved]],
        )  # fmt: skip

    def all_seeds(asynchronous: bool) -> list[Run]:
        for seed in SEEDS:
            if (asynchronous, seed) not in made:
                made[asynchronous, seed] = run = train(asynchronous, seed)
                said = stats.compare(run.before, run.after).sentence
                means = [f"{statistics.mean(verdicts):.3f}" for verdicts in run.sampled]
                print(
                    f"\n{'asynchronous' if asynchronous else 'synchronous'}, seed {seed}: greedy "
                    f"{statistics.mean(run.before):.3f} -> {statistics.mean(run.after):.3f}; {said} "
                    f"sampled {' '.join(means)}; verified in the last 10 updates "
                    f"{late(run, UPDATES):.3f}; staleness "
                    f"{statistics.mean(entry['staleness_mean'] for entry in run.history):.2f}"
                )
        return [made[asynchronous, seed] for seed in SEEDS]

    return all_seeds


def exact(rows: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[float]:
    """The task's rule: the sum and nothing else."""
    return [float(text.strip() == row["answer"]) for row, text in zip(rows, texts, strict=True)]


def late(run: Run, update: int) -> float:
    """Mean verified share of the 10 updates that end with this one."""
    return statistics.mean(entry["verified"] for entry in run.history[update - 10 : update])


@pytest.mark.parametrize("asynchronous", [False, True], ids=["synchronous", "asynchronous"])
def test_accuracy_on_unseen_sums_rises_with_every_seed(runs: Any, asynchronous: bool) -> None:
    results = runs(asynchronous)
    for run in results:
        difference = stats.compare(run.before, run.after)
        assert difference.verdict == "better", difference.sentence
        assert difference.difference > 0.05
        assert run.history[0]["staleness_max"] == 0
        most = max(entry["staleness_max"] for entry in run.history)
        assert most == (1 if asynchronous else 0)
    assert len({tuple(run.after) for run in results}) == 3


@pytest.mark.parametrize("asynchronous", [False, True], ids=["synchronous", "asynchronous"])
def test_reward_and_dev_score_agree(runs: Any, asynchronous: bool) -> None:
    from scipy.stats import pearsonr

    rewards, scores = [], []
    for run in runs(asynchronous):
        for update, verdicts in zip(range(EVERY, UPDATES + 1, EVERY), run.sampled[1:], strict=True):
            rewards.append(late(run, update))
            scores.append(statistics.mean(verdicts))
            # Shares of 1,280 rollouts and of 500 items. The policy moved on between them, and the
            # sums it is rewarded for are those it was taught: 2 to 11 points were seen.
            assert abs(rewards[-1] - scores[-1]) < 0.15
        assert rewards[-1] > run.history[0]["verified"] + 0.1
    assert pearsonr(rewards, scores).statistic > 0.8


def test_asynchronous_reaches_what_synchronous_does_within_error(runs: Any) -> None:
    """The error of the difference is that of the 500 items and that of the three seeds.

    Three seeds tell little of their spread, which Welch's degrees of freedom account for.
    """
    from scipy.stats import t

    synchronous, asynchronous = runs(False), runs(True)
    over_items = stats.compare(
        [x for run in synchronous for x in run.after],
        [x for run in asynchronous for x in run.after],
        clusters=[*range(500)] * 3,
    )
    finals = [
        [statistics.mean(run.after) for run in group] for group in (synchronous, asynchronous)
    ]
    spreads = [statistics.variance(group) / 3 for group in finals]
    over_seeds = math.sqrt(sum(spreads))
    freedom = sum(spreads) ** 2 / sum(spread**2 / 2 for spread in spreads)
    assert over_items.stderr is not None
    error = math.hypot(over_items.stderr, over_seeds)
    print(
        f"\nfinal greedy accuracies {finals}; asynchronous less synchronous "
        f"{over_items.difference:+.3f}, its error {error:.3f} (items {over_items.stderr:.3f}, "
        f"seeds {over_seeds:.3f})"
    )
    assert abs(over_items.difference) < t.ppf(0.975, freedom) * error
    assert error < 0.04
