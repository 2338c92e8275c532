"""Prompts in, rollouts out: what was sampled, how likely it was, and by which policy.

A rollout is ordered by its position in the run. Everything random about it follows from the seed,
the position and the attempt, so that a run that resumes after a crash samples what it would have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from olmes.errors import OlmesError
from olmes.tools.hashing import Members, streamed_hash
from olmes.trainers.on_trl.row_sampling import RowDraws, derived_seed
from olmes.trainers.ppo.token_lists import TokenLists


@dataclass(frozen=True, slots=True)
class Rollout:
    """One response and the policy it is from."""

    position: int
    """Which rollout of the run this is: update * batch_size + its index in the batch."""
    row: int
    """Index of its prompt in the data."""
    prompt: tuple[int, ...]
    """Token ids."""
    response: tuple[int, ...]
    """Token ids, the end of sequence included."""
    logprobs: tuple[float, ...]
    """log mu of each response token, at the sampling temperature."""
    ended: bool
    """Whether the last token is an end of sequence; else the length limit cut it."""
    version: int
    """Updates its policy had seen."""


@dataclass(frozen=True, slots=True)
class Order:
    """Some rollouts to make, together."""

    positions: tuple[int, ...]
    rows: tuple[int, ...]
    seed: int
    """Of the order as a whole."""
    seeds: tuple[int, ...] = ()
    """One a rollout, the same in whichever order it is made; empty: they follow from `seed`."""

    @property
    def row_seeds(self) -> list[int]:
        """One seed a rollout."""
        return list(self.seeds) or [derived_seed(self.seed, i) for i in range(len(self.rows))]


class Generator(Protocol):
    """Whatever makes rollouts: transformers here, an engine elsewhere."""

    version: int
    """Updates the policy it samples from has seen; stamped on every rollout."""

    def generate(self, order: Order) -> list[Rollout]:
        """One rollout a position, in order."""
        ...


class Prompts:
    """The prompts of a run as token ids, and which is whose turn."""

    def __init__(
        self, rows: Sequence[Mapping[str, Any]], tokenizer: Any, longest: int, seed: int
    ) -> None:
        self.encoded = TokenLists(encode_prompt(row, tokenizer) for row in rows)
        lengths = self.encoded.lengths()
        self.kept = [i for i, length in enumerate(lengths) if 0 < length <= longest]
        self.left_out = len(lengths) - len(self.kept)
        self.seed = seed
        self.shuffled: tuple[int, list[int]] = (-1, [])
        if not self.kept:
            raise OlmesError(
                f"none of the {len(rows)} prompts has 1 to {longest} tokens; "
                "give other rows or raise max_prompt_length."
            )

    @property
    def hash(self) -> str:
        """16 hex digits of the token ids of every prompt, in order."""
        return streamed_hash(Members(self.encoded))[:16]

    def row_of(self, turn: int) -> int:
        """Index of the row that has this turn: every epoch has each prompt once, newly shuffled."""
        epoch, position = divmod(turn, len(self.kept))
        if self.shuffled[0] != epoch:
            order = torch.Generator().manual_seed(derived_seed(self.seed, 1, epoch))
            self.shuffled = (epoch, torch.randperm(len(self.kept), generator=order).tolist())
        return self.kept[self.shuffled[1][position]]


def encode_prompt(row: Mapping[str, Any], tokenizer: Any) -> list[int]:
    """Token ids of a row's `prompt`: a chat (list of messages) through the template, or plain text.

    Raises:
        OlmesError: the row has no prompt.
    """
    prompt = row.get("prompt", row.get("messages"))
    if isinstance(prompt, str):
        ids: list[int] = tokenizer(prompt).input_ids
        return ids
    if not prompt:
        raise OlmesError("a training row has no `prompt`; give text or a list of chat messages.")
    text = tokenizer.apply_chat_template(list(prompt), add_generation_prompt=True, tokenize=False)
    chat: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return chat


def orders_of(
    positions: Sequence[int], prompts: Prompts, samples: int, size: int, seed: int, attempt: int = 0
) -> Iterator[Order]:
    """Orders of at most `size` rollouts for positions; `samples` neighbours share a prompt."""
    for start in range(0, len(positions), size):
        chunk = tuple(positions[start : start + size])
        rows = tuple(prompts.row_of(position // samples) for position in chunk)
        seeds = tuple(derived_seed(seed, 2, position, attempt) for position in chunk)
        yield Order(chunk, rows, seeds[0], seeds)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How responses are sampled; nothing but the policy's own distribution shapes them."""

    temperature: float
    max_completion_length: int
    end_ids: tuple[int, ...]
    pad_id: int

    @classmethod
    def of(cls, policy: Any, tokenizer: Any, temperature: float, length: int) -> Sampling:
        """With the ends of sequence that the policy's generation config and the tokenizer name.

        Raises:
            OlmesError: neither names one: no response could ever be complete.
        """
        named = policy.generation_config.eos_token_id
        ends = [*(named if isinstance(named, list) else [named]), tokenizer.eos_token_id]
        end_ids = tuple(dict.fromkeys(int(i) for i in ends if i is not None))
        if not end_ids:
            raise OlmesError("the tokenizer has no end of sequence; set its eos_token.")
        pad = end_ids[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        return cls(temperature, length, end_ids, int(pad))


class TransformersGenerator:
    """Samples with `model.generate` under the policy it holds; each rollout by its own seed."""

    def __init__(
        self, model: Any, prompts: Sequence[tuple[int, ...]], sampling: Sampling, version: int = 0
    ) -> None:
        self.model = model
        self.prompts = prompts
        self.sampling = sampling
        self.version = version

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def generate(self, order: Order) -> list[Rollout]:
        """One rollout a position, with the log-probabilities its tokens were drawn at."""
        from transformers import GenerationConfig, LogitsProcessorList

        how, model = self.sampling, self.model
        chosen = [self.prompts[row] for row in order.rows]
        ids, attention = pad_left(chosen, how.pad_id)
        recorder = LogprobRecorder(how.temperature, RowDraws(order.row_seeds))
        # The model's own settings (Llama's top_p, say) would fill whatever is left open here, and
        # rollouts would not be from the policy that is trained. The recorder alone scales and draws.
        settings = GenerationConfig(
            do_sample=False,  # the recorder has drawn
            max_new_tokens=how.max_completion_length, eos_token_id=list(how.end_ids),
            pad_token_id=how.pad_id,
        )  # fmt: skip
        own, model.generation_config = model.generation_config, GenerationConfig()
        try:
            out = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=attention.to(model.device),
                generation_config=settings,
                logits_processor=LogitsProcessorList([recorder]),
            )
        finally:
            model.generation_config = own
        logprobs = recorder.finish(out).tolist()
        responses = out[:, ids.shape[1] :].tolist()
        return [
            rollout_of(
                position, row, self.prompts[row], response, logprob, how.end_ids, self.version
            )
            for position, row, response, logprob in zip(
                order.positions, order.rows, responses, logprobs, strict=True
            )
        ]


def rollout_of(
    position: int, row: int, prompt: tuple[int, ...], response: Sequence[int],
    logprobs: Sequence[float], end_ids: Sequence[int], version: int,
) -> Rollout:  # fmt: skip
    """What was drawn for a position, cut after its first end of sequence."""
    ends = [i for i, token in enumerate(response) if token in end_ids]
    length = ends[0] + 1 if ends else len(response)
    return Rollout(
        position, row, prompt, tuple(response[:length]), tuple(logprobs[:length]), bool(ends),
        version,
    )  # fmt: skip


class LogprobRecorder:
    """A logits processor that draws at a temperature and keeps each token's log-probability.

    What was drawn from one step's distribution is known at the next step. Keeping every step's
    logits instead (`output_scores`) would hold tokens x vocabulary numbers a response.
    """

    def __init__(self, temperature: float, draws: RowDraws) -> None:
        self.temperature = temperature
        self.draws = draws
        self.last: Tensor | None = None
        self.drawn: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Logits (B, V) of the token that is drawn, after noting the last one of `input_ids`."""
        self.note(input_ids)
        self.last = (scores.float() / self.temperature).log_softmax(-1)
        return self.draws.only_chosen(self.last)

    def note(self, input_ids: Tensor) -> None:
        """Look up what was drawn in the distribution it was drawn from."""
        if self.last is not None:
            self.drawn.append(self.last.gather(-1, input_ids[:, -1:]))

    def finish(self, output_ids: Tensor) -> Tensor:
        """Log-probabilities (B, new tokens); meaningless after a row's end of sequence."""
        self.note(output_ids)
        return torch.cat(self.drawn, dim=-1)


def pad_left(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask (B, longest), each row at the right edge."""
    width = max(map(len, rows))
    ids = [[pad] * (width - len(row)) + list(row) for row in rows]
    attention = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids), torch.tensor(attention)
