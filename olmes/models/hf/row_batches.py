"""Which rows may go through a model together, where prefixes cannot be shared.

Rows of unequal length are padded, and a mask says so. Some architectures do not read the mask
(recurrences above all), and some read the longest row's length: with these a row's answer would
depend on its neighbours. So a padded pair is compared with single rows, once a model.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

import torch

from olmes.models.checkpoint.folder import quiet
from olmes.models.hf.loglikelihood import last_logits, padded
from olmes.models.hf.reach import (
    NEAR,
    NEAR_IN_HALF,
    REFUSALS,
    UNLIMITED,
    distance,
    drags,
    ropes,
    settings_of,
    switch_of,
    vocabulary,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

R = TypeVar("R")
Way = Callable[["PreTrainedModel", Sequence[list[int]], int], torch.Tensor]
LONG, SHORT, NEW = 23, 6, 3
"""Tokens of the trial's rows, and those generated."""
ROUNDING, SPREAD = 0.02, 3.0
"""In half precision: a distance that rounding makes anyhow, and how many times that of equal rows."""


class Together(Enum):
    """Which rows may be in a batch."""

    PADDED = "padded"
    EQUAL = "equal"
    ALONE = "alone"


@dataclass(frozen=True, slots=True)
class RowBatches:
    """How rows are put together.

    Args:
        together: which rows may be in a batch.
        switch: the length from which on the longest row changes what the others give.
        steady: whether all lengths beyond the switch are alike, so that these may be padded too.
    """

    together: Together
    switch: int | None = None
    steady: bool = True

    def split(
        self, rows: Iterable[R], shortest: Callable[[R], int], longest: Callable[[R], int]
    ) -> list[list[R]]:
        """Rows that may be batched with one another, in their order.

        Args:
            rows: what is to run.
            shortest: tokens of a row when it begins.
            longest: tokens it may come to have.
        """
        classes: dict[object, list[R]] = {}
        for at, row in enumerate(rows):
            length, end = shortest(row), longest(row)
            key: object = ""
            if self.together is Together.ALONE:
                key = at
            elif self.together is Together.EQUAL:
                key = length
            elif self.switch is not None and end > self.switch:
                # A row that passes the switch while it runs does so with those of its length.
                key = "beyond" if self.steady and length > self.switch else length
            classes.setdefault(key, []).append(row)
        return list(classes.values())


def row_batches(model: PreTrainedModel, pad: int, reach: int | None) -> RowBatches:
    """How rows may be put together: tried out, once a model.

    Args:
        model: in evaluation mode.
        pad: the token that fills a row.
        reach: the most tokens of a row, where there is a limit.
    """
    switch, steady = switch_of(model.config)
    size = min(vocabulary(model), 997)
    line = [(5 * at * at + 3 * at + 1) % size for at in range(LONG + SHORT)]
    row, long = line[:SHORT], line[SHORT:]
    with torch.inference_mode(), quiet():
        tries = [(way, tried(way, model, [row], pad)) for way in (weighed, generated)]
        ways = [(way, alone) for way, alone in tries if alone is not None]
        limit = NEAR.get(model.dtype, NEAR_IN_HALF)

        def off(beside: list[int]) -> list[float]:
            """How far a row is, beside another, from what it gives by itself: by every way."""
            found = [(tried(way, model, [beside, row], pad), alone) for way, alone in ways]
            return [math.inf if one is None else distance(one, alone) for one, alone in found]

        # In half precision, what another row of the same length does shows how far rounding goes.
        equal = [] if model.dtype in NEAR else off(line[-SHORT:])
        close = [min(limit, ROUNDING + SPREAD * noise) for noise in equal] or [limit] * len(ways)
        if all(one <= most for one, most in zip(off(long), close, strict=True)):
            far = switch is None and drags_others(model, row, reach or UNLIMITED)
            together = Together.EQUAL if far else Together.PADDED
        else:
            near = all(one <= limit for one in equal or off(line[-SHORT:]))
            together = Together.EQUAL if near else Together.ALONE
    if switch is None and not any(ropes(settings_of(model.config).get("rope_parameters"))):
        # A row that has ended goes on until its batch does, beyond a table of positions.
        switch, steady = reach, False
    return RowBatches(together, switch, steady)


def drags_others(model: PreTrainedModel, row: list[int], reach: int) -> bool:
    """`drags` by this path."""
    try:
        return drags(model, row, last_logits(model, [row], SHORT)[0, -SHORT:], reach)
    except REFUSALS:
        return False  # no far positions can be given: nothing is known of them


def tried(
    way: Way, model: PreTrainedModel, rows: Sequence[list[int]], pad: int
) -> torch.Tensor | None:
    """What a way gives; None where the model refuses these rows: a run of it will say so itself."""
    try:
        return way(model, rows, pad)
    except REFUSALS:
        return None


def weighed(model: PreTrainedModel, rows: Sequence[list[int]], pad: int) -> torch.Tensor:  # noqa: ARG001
    """The last row's logits as continuations are weighed, `[tokens, vocabulary]`."""
    return last_logits(model, rows, SHORT)[-1, -SHORT:]


def generated(model: PreTrainedModel, rows: Sequence[list[int]], pad: int) -> torch.Tensor:
    """The last row's logits as answers are generated, `[tokens, vocabulary]`."""
    from transformers import GenerationConfig, LogitsProcessorList

    ids, mask = padded(rows, pad)

    class Forced:
        """The same tokens for every row, whatever it would choose."""

        def __call__(self, seen: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
            chosen = torch.full_like(scores, float("-inf"))
            chosen[:, (seen.shape[1] - ids.shape[1]) % vocabulary(model)] = 0
            return chosen

    made = model.generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        generation_config=GenerationConfig(
            do_sample=False,
            max_new_tokens=NEW,
            eos_token_id=-1,  # with none given, the checkpoint's own would end a row
            pad_token_id=pad,
            output_logits=True,
            return_dict_in_generate=True,
        ),
        logits_processor=LogitsProcessorList([Forced()]),
    )
    # `generate` gives float32 whatever the model computes in, which says how near is near.
    return torch.cat([step[-1:] for step in made.logits]).to(model.dtype)


def rewind(model: PreTrainedModel, longest: int) -> None:
    """Bring a rotary embedding that grew with an earlier batch back to its beginning.

    Args:
        model: in evaluation mode.
        longest: tokens of the longest row to come: a short one does it by itself.
    """
    switch, steady = switch_of(model.config)
    if switch is not None and not steady and longest >= switch:
        with torch.inference_mode(), quiet():
            model(input_ids=torch.zeros((1, 1), dtype=torch.long, device=model.device))
