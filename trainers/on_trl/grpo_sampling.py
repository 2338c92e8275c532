"""TRL's GRPO trainer that tells what its groups are like and, where asked, draws prompts again.

Drawing again is the dynamic sampling of DAPO (arXiv:2503.14476, section 3.2): groups whose rewards
are all equal teach nothing, so their places in the batch are taken by further prompts, until the
batch is full or the draws are used up. Which prompts those are follows from the seed, the update and
the draw alone, and rewards are known to every process, so that all processes draw alike and a resumed
training draws what the stopped one would have.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from olmes.tools.hashing import content_hash
from olmes.trainers.rewards.groups import Groups

Row = Mapping[str, Any]
LISTS = (0, 1, 2, 3, 4)
"""Of what TRL's `_generate` gives, those with one entry a completion: ids of prompts and completions,
the tool mask, completions, log-probabilities."""


class GroupSampling:
    """What makes of TRL's `GRPOTrainer` one that logs `groups/*` and samples dynamically.

    Put before it among a class's bases.
    """

    def __init__(self, *, best: Callable[[Row], float], draws: int, **given: Any) -> None:
        """As TRL's.

        Args:
            best: the most that a completion of a row can be rewarded with.
            draws: further draws of prompts for one batch, at most; 0 leaves batches as they come.
            **given: what TRL's takes.
        """
        logging.getLogger("trl.trainer.grpo_trainer").addFilter(without_unscored)
        parent: Any = super()
        parent.__init__(**given)
        self.best = best
        self.draws = draws
        self.group = int(self.trainer.num_generations)
        self.full_batch: tuple[tuple[Any, ...], Tensor] | None = None
        """What was generated for the batch, and its rewards, while TRL makes the batch of it."""

    @property
    def trainer(self) -> Any:
        """This, with what is TRL's."""
        return self

    def _generate_and_score_completions(self, inputs: list[Any]) -> Any:
        """A batch; groups that teach nothing are replaced before TRL computes what it learns from."""
        parent: Any = super()
        if self.trainer.model.training and self.draws:
            inputs = self.draw(inputs)
        try:
            return parent._generate_and_score_completions(inputs)
        finally:
            self.full_batch = None

    def _generate(self, prompts: list[Any]) -> Any:
        """Completions, or those that were drawn for this batch."""
        parent: Any = super()
        return parent._generate(prompts) if self.full_batch is None else self.full_batch[0]

    def _calculate_rewards(
        self, inputs: list[Any], prompts: list[Any], completions: list[Any], ids: list[Any]
    ) -> Tensor:
        """Rewards (B of all processes, functions), or those that were drawn with this batch."""
        if self.full_batch is not None:
            return self.full_batch[1]
        parent: Any = super()
        rewards: Tensor = parent._calculate_rewards(inputs, prompts, completions, ids)
        if self.trainer.model.training and not self.draws:
            self.note(self.groups(inputs, rewards))
        return rewards

    def groups(self, inputs: Sequence[Row], rewards: Tensor) -> Groups:
        """What the groups of a batch of all processes are like."""
        mine = torch.tensor([self.best(row) for row in inputs], device=rewards.device)
        weighted = rewards * self.trainer.reward_weights.to(rewards.device)
        total = weighted.nansum(1).masked_fill(rewards.isnan().all(1), torch.nan)
        best = self.trainer.accelerator.gather(mine)
        return Groups.of(total.tolist(), best.tolist(), self.group)

    def note(self, groups: Groups, draws: int = 1) -> None:
        """Put what groups are like into the log."""
        numbers = groups.numbers() | ({"groups/draws": float(draws)} if self.draws else {})
        for name, value in numbers.items():
            self.trainer._metrics["train"][name].append(value)

    def draw(self, inputs: list[Any]) -> list[Any]:
        """Generate until the batch is full of groups that teach something; this process's rows.

        The log says of the first draw, which is of the prompts as they come, what its groups are
        like, and how many draws there were.
        """
        size = self.group
        rows, made, rewards = self.complete(inputs)
        groups = self.groups(inputs, rewards)
        first, draws, count = groups, 1, groups.count
        kept = self.taken(rows, made, rewards, sorted(groups.useful))
        spare = [index for index in range(count) if index not in groups.useful]
        left_over = self.taken(rows, made, rewards, spare)
        seen = {index_of(row) for row in rows}
        while len(kept) < count and draws <= self.draws:
            wanted = self.evenly(count - len(kept), count)
            chosen = self.further(draws, wanted, seen)
            share = wanted * size // self.trainer.accelerator.num_processes
            flat = [row for row in chosen for _ in range(size)]
            mine = flat[self.trainer.accelerator.process_index * share :][:share]
            rows, made, rewards = self.complete(mine)
            groups = self.groups(mine, rewards)
            kept += self.taken(rows, made, rewards, sorted(groups.useful))
            draws += 1
        self.note(first, draws)
        batch = [one for group in [*kept, *left_over][:count] for one in group]
        self.full_batch = self.shared_out(batch, made, len(inputs))
        start = self.trainer.accelerator.process_index * len(inputs)
        return [one[0] for one in batch[start : start + len(inputs)]]

    def complete(self, inputs: list[Any]) -> tuple[list[Any], tuple[Any, ...], Tensor]:
        """Rows, completions and rewards of all processes, each of which completes its `inputs`."""
        from accelerate.utils import gather_object

        prompts = [row["prompt"] for row in inputs]
        made = self._generate(prompts)
        parent: Any = super()
        rewards = parent._calculate_rewards(inputs, prompts, made[3], made[1])
        if self.trainer.accelerator.num_processes == 1:
            return inputs, made, rewards
        lists = {at: gather_object(made[at]) for at in LISTS if made[at] is not None}
        whole = tuple(lists.get(at, part) for at, part in enumerate(made))
        return gather_object(inputs), whole, rewards

    def taken(
        self, rows: Sequence[Any], made: Sequence[Any], rewards: Tensor, groups: Sequence[int]
    ) -> list[list[tuple[Any, ...]]]:
        """Some groups; of each completion its row, its parts and its rewards."""
        size = self.group
        return [
            [
                (rows[at], [item(made[part], at) for part in LISTS], rewards[at])
                for at in range(group * size, (group + 1) * size)
            ]
            for group in groups
        ]

    def shared_out(
        self, batch: Sequence[tuple[Any, ...]], made: Sequence[Any], length: int
    ) -> tuple[tuple[Any, ...], Tensor]:
        """This process's part of a batch in the shape of TRL's `_generate`, and all its rewards."""
        start = self.trainer.accelerator.process_index * length
        mine = [parts for _, parts, _ in batch[start : start + length]]
        lists = [None if made[part] is None else [parts[part] for parts in mine] for part in LISTS]
        return (*lists, *made[len(LISTS) :]), torch.stack([reward for *_, reward in batch])

    def evenly(self, wanted: int, most: int) -> int:
        """The fewest groups, `wanted` or more, whose completions the processes can share evenly."""
        processes = self.trainer.accelerator.num_processes
        return next(n for n in range(wanted, most + 1) if n * self.group % processes == 0)

    def further(self, draw: int, wanted: int, seen: set[str]) -> list[Any]:
        """Rows that the batch has not had yet, as far as there are some."""
        step = self.trainer.state.global_step
        seed = int(content_hash([self.trainer.args.seed, step, draw])[:16], 16)
        order = list(range(len(self.trainer.train_dataset)))
        Random(seed).shuffle(order)  # noqa: S311 (nothing secret)
        fresh: list[Any] = []
        known: list[Any] = []
        for index in order:
            row = self.trainer.train_dataset[index]
            (known if index_of(row) in seen else fresh).append(row)
            if len(fresh) == wanted:
                break
        found = [*fresh, *known]
        found = (found * -(-wanted // len(found)))[:wanted]
        seen.update(index_of(row) for row in found)
        return found


def item(entries: Sequence[Any] | None, at: int) -> Any:
    """One entry of a list that there may not be."""
    return None if entries is None else entries[at]


def index_of(row: Row) -> str:
    """What a row is known by: its prompt and its verifiers."""
    return content_hash([row["prompt"], row["verifiers"]])


def without_unscored(record: logging.LogRecord) -> bool:
    """Whether a line of TRL's is shown: we name rows that cannot be scored ourselves, once."""
    return "All reward functions returned None" not in record.getMessage()
