"""Models run by transformers: local folders and hub repositories.

Nothing heavy is imported or loaded before it is needed: configuration and tokenizer for a prompt,
torch for the device's name, the weights for an answer.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from olmes.errors import OlmesError
from olmes.models.base import Done, EncodedPrompt, Work
from olmes.models.chat import plain
from olmes.models.chat.templates import own_template
from olmes.models.checkpoint import folder as files
from olmes.models.checkpoint.architecture import (
    check_quantization,
    is_reward_model,
    scores_texts,
)
from olmes.models.checkpoint.check import check_checkpoint, stored_files
from olmes.models.checkpoint.fingerprint import (
    checkpoint_fingerprint,
    fingerprint_parts,
    settings,
)
from olmes.models.hf import encoding
from olmes.models.hf.asked import AskedModel
from olmes.models.hf.batches import run_in_batches
from olmes.models.hf.encoding import Encoder
from olmes.models.hf.generation_rows import (
    GenerationRow,
    UnanswerableError,
    check_settings,
    fit,
    group_by_settings,
)
from olmes.models.options import ASKED, Asking
from olmes.tools.hashing import content_hash
from olmes.types import JsonObject, Request, Response

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from olmes.models.hf.loglikelihood import Candidate
    from olmes.models.hf.row_batches import RowBatches
    from olmes.models.hf.warm import WarmMemory

R = TypeVar("R")
BATCH_ON_CPU = 16
BATCH_ON_GPU = 64
"""Rows at once, to begin with, of a model that cannot share prefixes."""


class CheckpointModel(AskedModel):
    """What is known of a checkpoint of a causal language model without its weights.

    Args:
        name: what the user called it.
        checkpoint: where its files are.
        dtype: `float32`, `bfloat16`, `float16` or `auto` (the checkpoint's own); by default float32
            on a CPU and `auto` elsewhere.
        device: `cpu`, `cuda`, `cuda:N`, `mps`, or `auto` to spread over all GPUs; by default the
            best one there is.
        batch_size: the most rows run at once; by default what memory has room for. It is halved
            whenever memory does not suffice.
        max_length: tokens of prompt and answer together, when lower than the model's own limit.
        asking: how the model is asked.
        warm: what earlier models of this process leave for this one.

    Raises:
        OlmesError: from any method: the files are missing or are not a causal language model, or
            there is no such dtype or device.
    """

    greedy_alike = True
    work: Work

    def __init__(
        self,
        name: str,
        checkpoint: files.Checkpoint,
        *,
        dtype: str | None = None,
        device: str | None = None,
        batch_size: int | None = None,
        max_length: int | None = None,
        asking: Asking = ASKED,
        warm: WarmMemory | None = None,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise OlmesError(f"batch_size is {batch_size}; give 1 or more.")
        self.name = name
        self.checkpoint = checkpoint
        self._dtype, self._device = dtype, device
        self._batch_size, self._max_length = batch_size, max_length
        self.asking = asking
        self.warm = warm
        self.work = Work()

    @property
    def trust(self) -> bool:
        """Whether code that lies in its folder may be run."""
        return self.asking.trust_remote_code

    def check(self) -> None:
        """Return when its files are whole and of a kind that writes text; no weights are read.

        Raises:
            OlmesError: they are not, and what they are instead.
        """
        check_checkpoint(self.name, self.checkpoint, trust=self.trust)

    @cached_property
    def config(self) -> PretrainedConfig:
        """The language model's configuration."""
        return files.load_config(self.name, self.checkpoint.folder(weights=False), trust=self.trust)

    @cached_property
    def encoder(self) -> Encoder:
        """The tokenizer; loaded without the weights."""
        _ = self.config  # its error is the clearer one for a wrong folder
        folder = self.checkpoint.folder(weights=False)
        template = own_template(folder) or ""
        if self.warm:
            return self.warm.encoder(self.name, folder, self.form, template, trust=self.trust)
        tokenizer = files.load_tokenizer(self.name, folder, trust=self.trust)
        return Encoder(self.name, tokenizer, form=self.form, template=template)

    def row(self, index: int, request: Request) -> GenerationRow:
        """A request as a row, fitted to the window.

        Raises:
            UnanswerableError: the template refuses the chat, or the prompt leaves no room.
        """
        stops = self.encoder.stops(request)
        if stops != request.generation.stop:
            request = replace(request, generation=replace(request.generation, stop=stops))
        return fit(index, request, self.encoder.encode(request), self.window, self.thought_limits)

    @cached_property
    def device(self) -> str:
        """Where the model runs."""
        return files.choose_device(self._device)

    @property
    def gpus(self) -> int:
        """GPUs it computes on."""
        if self.device == "auto":
            import torch

            return int(torch.cuda.device_count())
        return int(self.device.startswith("cuda"))

    @cached_property
    def dtype(self) -> str:
        """Precision of weights and activations."""
        return files.choose_dtype(self._dtype, self.device, lambda: self.config)

    @cached_property
    def window(self) -> int | None:
        """Tokens of prompt and answer together; None when the model has no limit."""
        return files.window_of(
            self.name, self.checkpoint.folder(weights=False), self._max_length, trust=self.trust
        )

    @cached_property
    def encoding(self) -> str:
        """The libraries and the code that make tokens of a request."""
        return content_hash(
            [files.version(name) for name in ("tokenizers", "transformers", "jinja2")]
            + [Path(str(module.__file__)).read_text("utf-8") for module in (encoding, plain)]
            + [repr(self.form)]
        )

    @cached_property
    def fingerprint(self) -> str:
        """64 hex digits over the content of the checkpoint's files."""
        return checkpoint_fingerprint(self.checkpoint.folder(weights=True), code=self.trust)

    @cached_property
    def fingerprint_parts(self) -> dict[str, str]:
        """16 hex digits each for weights, configuration, tokenizer, chat template and more."""
        return fingerprint_parts(self.checkpoint.folder(weights=True), code=self.trust)

    def encode(self, request: Request) -> EncodedPrompt:
        """The exact text and tokens of a request's prompt, before any truncation.

        Raises:
            OlmesError: the model has no chat template, or its template refuses this chat.
        """
        try:
            if request.answers:
                from olmes.models.hf.rewards import whole_chat

                return whole_chat(self.encoder, request, request.answers[0])
            return self.encoder.encode(request)
        except UnanswerableError as error:
            raise OlmesError(f"'{self.name}': {error}; choose another checkpoint.") from None

    def refusal(self, request: Request) -> str:
        """Why a request cannot be answered: its chat's template, or the window.

        Raises:
            OlmesError: the model has no chat template, or its files cannot be read.
        """
        try:
            if request.answers:
                from olmes.models.hf.rewards import rewarded_answers

                rewarded_answers(0, request, self.encoder, self.window)
            elif request.continuations:
                from olmes.models.hf.loglikelihood import candidates

                candidates(0, request, self.encoder, self.window)
            else:
                fit(0, request, self.encoder.encode(request), self.window)
        except UnanswerableError as error:
            return str(error)
        return ""


class HFModel(CheckpointModel):
    """A causal language model or a reward model, run by transformers; see `CheckpointModel`."""

    @cached_property
    def gives_rewards(self) -> bool:
        """Whether it is a sequence classifier with one label."""
        return is_reward_model(self.checkpoint.folder(weights=False))

    def refusal(self, request: Request) -> str:
        """As `CheckpointModel.refusal`.

        Raises:
            OlmesError: it is a reward model and is to write; or its files cannot be read.
        """
        if not request.answers and self.gives_rewards:
            folder = self.checkpoint.folder(weights=False)
            raise OlmesError(scores_texts(self.name, settings(folder / "config.json")))
        return super().refusal(request)

    def check(self) -> None:
        """As `CheckpointModel.check`, and what quantized weights need is installed."""
        check_checkpoint(self.name, self.checkpoint, trust=self.trust, rewards=True)
        folder = stored_files(self.checkpoint)
        if folder is not None:
            check_quantization(self.name, folder, self.device)

    @cached_property
    def weights(self) -> PreTrainedModel:
        """The loaded model."""
        if getattr(self.config, "is_encoder_decoder", False):
            raise OlmesError(f"'{self.name}' is not a causal language model; choose one that is.")
        folder = self.checkpoint.folder(weights=True)
        load = self.warm.weights if self.warm else files.load_weights
        dtype, device = self.dtype, self.device
        began = time.perf_counter()
        try:
            return load(self.name, folder, dtype, device, self.trust)
        finally:
            self.work.load_s += time.perf_counter() - began

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer: the checkpoint's and the tokenizer's."""
        own = self.weights.generation_config.eos_token_id
        ids = {*(own if isinstance(own, list) else [own]), self.encoder.tokenizer.eos_token_id}
        return frozenset(ids - {None})

    @property
    def batch_size(self) -> int:
        """Rows run at once, to begin with."""
        return self._batch_size or (BATCH_ON_CPU if self.device == "cpu" else BATCH_ON_GPU)

    @cached_property
    def shares_prefixes(self) -> bool:
        """Whether shared prefixes are computed once; see `olmes.models.hf.prompt_cache_support`."""
        from olmes.models.hf.prompt_cache_support import suits

        return suits(self.weights, self.window)

    @cached_property
    def row_batches(self) -> RowBatches:
        """Which rows may be batched; see `olmes.models.hf.row_batches`."""
        from olmes.models.hf.row_batches import row_batches

        return row_batches(self.weights, min(self.ends, default=0), self.window)

    @property
    def engine(self) -> JsonObject:
        """What changes outputs besides the weights."""
        return {
            "backend": "hf",
            "transformers": files.version("transformers"),
            "torch": files.version("torch"),
            "dtype": self.dtype,
            "device": files.describe_device(self.device),
            "max_length": self.window,
            **self.asked,
        }

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """Answer every request; each is reported in the very step that ends it."""
        from olmes.models.hf.decoding import generate_batch
        from olmes.models.hf.endings import Endings

        for generation in {request.generation for request in requests}:
            check_settings(generation)
        rows: list[GenerationRow] = []
        for index, request in enumerate(requests):
            with report_unanswerable(index, done):
                rows.append(self.row(index, request))

        def report(row: GenerationRow, response: Response) -> None:
            done(row.index, response)

        def fail(row: GenerationRow, reason: str) -> None:
            row.finished = True
            report(row, Response(finish="error", error=reason, prompt_tokens=len(row.prompt_ids)))

        if not rows:
            return
        endings = Endings(self.encoder, self.ends, self.work, report, self.reader)
        if self.shares_prefixes:
            from olmes.models.hf.continuous import generate_stream
            from olmes.models.hf.prompt_cache import counting
            from olmes.models.hf.prompt_cache_support import limits

            room = limits(self.weights, self._batch_size)
            with counting(self.work):
                generate_stream(self.weights, rows, room, endings, fail)
            return

        from olmes.models.hf.row_batches import rewind

        def work(batch: list[GenerationRow]) -> None:
            rewind(self.weights, max(len(row.prompt_ids) for row in batch))
            generate_batch(self.weights, batch, endings)
            self.work.prefill_tokens += sum(len(row.prompt_ids) for row in batch)

        for group in group_by_settings(rows):
            for alike in self.batchable(
                group,
                lambda row: len(row.prompt_ids),
                # Of the settings and not of the row: a batch goes on until its last row ends.
                lambda row: len(row.prompt_ids) + row.generation.max_tokens,
            ):
                run_in_batches(alike, self.batch_size, work, fail)

    def batchable(
        self, rows: Sequence[R], begin: Callable[[R], int], end: Callable[[R], int]
    ) -> list[list[R]]:
        """Rows that may run together; `begin` and `end` are a row's lengths."""
        if len(rows) == 1 or self.batch_size == 1:
            return [[row] for row in rows]
        return self.row_batches.split(rows, begin, end)

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        """Score every request's continuations; a request is reported when its last is scored."""
        from olmes.models.hf.loglikelihood import candidates, loglikelihood_batch, response
        from olmes.models.hf.row_batches import rewind

        waiting: dict[int, list[Candidate]] = {}
        for index, request in enumerate(requests):
            with report_unanswerable(index, done):
                waiting[index] = candidates(index, request, self.encoder, self.window)

        def settle(indexes: Iterable[int]) -> None:
            for index in indexes:
                if all(row.finished for row in waiting[index]):
                    done(index, response(waiting.pop(index)))

        def work(batch: list[Candidate]) -> None:
            rewind(self.weights, max(len(row.token_ids) for row in batch))
            loglikelihood_batch(self.weights, batch)
            self.work.prefill_tokens += sum(len(row.token_ids) - 1 for row in batch)
            settle(dict.fromkeys(row.index for row in batch))

        def fail(row: Candidate, reason: str) -> None:
            row.error = reason
            settle([row.index])

        settle(list(waiting))
        asked = [[row for row in rows if not row.finished] for rows in waiting.values()]
        if not asked:
            return
        if self.shares_prefixes:
            from olmes.models.hf.prefix_loglikelihood import loglikelihood_stream
            from olmes.models.hf.prompt_cache import counting

            with counting(self.work):
                loglikelihood_stream(
                    self.weights, asked, self._batch_size, lambda rows: settle([rows[0].index])
                )
            return
        # A request's continuations stay together, so that it is done early; the longest go first.
        asked.sort(key=lambda rows: -max(len(row.token_ids) for row in rows))
        rows = [row for request in asked for row in request]
        for alike in self.batchable(
            rows, lambda row: len(row.token_ids) - 1, lambda row: len(row.token_ids) - 1
        ):
            run_in_batches(alike, self.batch_size, work, fail)

    def rewards(self, requests: Sequence[Request], done: Done) -> None:
        """Reward every request's answers; a request is reported when its last has its number."""
        if not self.gives_rewards:
            super().rewards(requests, done)
            return
        from olmes.models.hf.rewards import (
            RewardedAnswer,
            padding,
            response,
            reward_batch,
            rewarded_answers,
        )

        waiting: dict[int, list[RewardedAnswer]] = {}
        for index, request in enumerate(requests):
            with report_unanswerable(index, done):
                waiting[index] = rewarded_answers(index, request, self.encoder, self.window)

        def settle(indexes: Iterable[int]) -> None:
            for index in indexes:
                if all(row.finished for row in waiting[index]):
                    done(index, response(waiting.pop(index)))

        def work(batch: list[RewardedAnswer]) -> None:
            reward_batch(self.weights, batch)
            self.work.prefill_tokens += sum(len(row.token_ids) for row in batch)
            settle(dict.fromkeys(row.index for row in batch))

        def fail(row: RewardedAnswer, reason: str) -> None:
            row.error = reason
            settle([row.index])

        if not waiting:
            return
        # A request's answers stay together, so that it is done early; the longest go first.
        asked = sorted(waiting.values(), key=lambda rows: -max(len(r.token_ids) for r in rows))
        size = 1 if padding(self.weights) is None else self.batch_size
        run_in_batches([row for rows in asked for row in rows], size, work, fail)

    def close(self) -> None:
        """Free the weights, unless a warm memory has them for the next model."""
        self.__dict__.pop("weights", None)
        self.__dict__.pop("shares_prefixes", None)
        self.__dict__.pop("row_batches", None)
        if self.warm is None:
            gc.collect()


@contextmanager
def report_unanswerable(index: int, done: Done) -> Iterator[None]:
    """Report a request that cannot be answered, and continue with the others."""
    try:
        yield
    except UnanswerableError as error:
        done(index, Response(finish="error", error=str(error)))
