"""Models run by vLLM's offline engine, in this process's environment.

All requests go to the engine as one stream, each with settings of its own, and each is reported in
the step that ends it. Prefix caching is on, for log-probabilities too.
"""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.models.base import Done, Work
from olmes.models.checkpoint import folder as files
from olmes.models.hf.endings import Endings
from olmes.models.hf.generation_rows import GenerationRow, check_settings, cut_at_stop
from olmes.models.hf.model import CheckpointModel, report_unanswerable
from olmes.models.token_logprobs import by_text
from olmes.models.vllm_errors import cause_of, explained, last_reason, texts_of
from olmes.models.vllm_options import Value
from olmes.models.vllm_start import check_runs_on_cpu, on_device, window_for
from olmes.types import Generation, JsonObject, Request, Response

if TYPE_CHECKING:
    from olmes.models.hf.loglikelihood import Candidate


class VLLMModel(CheckpointModel):
    """A checkpoint of a causal language model, run by vLLM.

    Args:
        name: what the user called it.
        checkpoint: where its files are.
        options: of the engine; see `olmes.models.vllm_options`.
        **settings: those of `CheckpointModel`; `batch_size` is the most requests at once.

    Raises:
        OlmesError: two limits of the window or of the requests at once are given; from any method
            that needs the engine: vLLM is not installed or does not start.
    """

    def __init__(
        self,
        name: str,
        checkpoint: files.Checkpoint,
        options: Mapping[str, Value],
        **settings: Any,
    ) -> None:
        super().__init__(name, checkpoint, **settings)
        self.options = dict(options)
        self._max_length = self._one("max_model_len", "--max-length", self._max_length)
        self._batch_size = self._one("max_num_seqs", "--batch-size", self._batch_size)
        self._need = 0
        """Tokens that the longest request so far takes."""

    def _one(self, option: str, ours: str, given: int | None) -> int | None:
        """A limit that has a name here and one of the engine's.

        Raises:
            OlmesError: both are given, and differ.
        """
        wanted = self.options.pop(option, None)
        if wanted is not None and given not in (None, wanted):
            raise OlmesError(
                f"{ours} is {given} and the option {option} {wanted}; give one of them."
            )
        return given if wanted is None else int(wanted)

    @cached_property
    def version(self) -> str:
        """The version of vLLM."""
        try:
            return version("vllm")
        except PackageNotFoundError:
            raise OlmesError(
                "vLLM is not installed in this environment; run `pip install vllm` (on a CPU see "
                "`make test-vllm`), or use hf: (transformers)."
            ) from None

    @property
    def engine(self) -> JsonObject:
        """What changes outputs besides the weights."""
        return {
            "backend": "vllm",
            "vllm": self.version,
            "torch": version("torch"),
            "dtype": self.dtype,
            "device": files.describe_device(self.device),
            "max_length": self.window,
            **self.options,
            **self.asked,
        }

    @cached_property
    def llm(self) -> Any:
        """The engine, with the weights loaded."""
        _ = self.version
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        began = time.perf_counter()
        folder = str(self.checkpoint.folder(weights=True))
        limits = {"max_model_len": self._engine_window, "max_num_seqs": self._batch_size}
        settings: dict[str, Any] = {
            "model": folder,
            "dtype": self.dtype,
            "trust_remote_code": self.trust,
            "enable_prefix_caching": True,
            # The checkpoint's decoding settings must not leak in; its end tokens are given by us.
            "generation_config": "vllm",
            # Compiling takes minutes on a CPU, and little is won there.
            "enforce_eager": self.device == "cpu",
            **{name: value for name, value in limits.items() if value is not None},
            **self.options,
        }
        with on_device(self.device, self._copies), explained(self.name):
            from vllm import LLM

            if self.device == "cpu":
                check_runs_on_cpu()
            llm = LLM(**settings)
        self.work.load_s += time.perf_counter() - began
        return llm

    @property
    def _engine_window(self) -> int | None:
        """The engine's window: what the user said, or what the requests need of the model's own."""
        if self._max_length is not None or not self._need:
            return self.window
        return window_for(self._need, self.window, self.config)

    @property
    def _copies(self) -> int:
        """GPUs that the model is spread over."""
        parallel = ("tensor_parallel_size", "pipeline_parallel_size")
        return math.prod(int(self.options.get(name, 1)) for name in parallel)

    def make_room(self, need: int) -> None:
        """See to it that the engine's window has room for so many tokens: one with less ends."""
        before, had = self._engine_window, self._need > 0
        self._need = max(need, self._need)
        if had and self._engine_window != before:
            self._need = max(need, 2 * (before or 0))  # the next one should do
            self.close()

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer: the checkpoint's and the tokenizer's."""
        from transformers import GenerationConfig

        folder = self.checkpoint.folder(weights=False)
        try:
            own = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
        except OSError:  # there is none
            own = None
        own = self.config.eos_token_id if own is None else own
        ids = {*(own if isinstance(own, list) else [own]), self.encoder.tokenizer.eos_token_id}
        return frozenset(ids - {None})

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """Answer every request; each is reported in the engine's step that ends it."""
        for generation in {request.generation for request in requests}:
            check_settings(generation)
        rows: list[GenerationRow] = []
        for index, request in enumerate(requests):
            with report_unanswerable(index, done):
                rows.append(self.row(index, request))
        stops: dict[Generation, list[int]] = {
            g: sorted(self.ends | self.encoder.stop_tokens(g.stop))
            for g in {row.generation for row in rows}
        }
        endings = Endings(
            self.encoder, self.ends, Work(), lambda row, found: done(row.index, found), self.reader
        )

        def came(at: int, output: Any) -> bool:
            """Whether a request has ended; one with a thought is followed token by token."""
            row = rows[at]
            if row.top_logprobs and not row.new_ids:
                self._note_first_tokens(row, output.outputs[0])
            if row.thought is None:
                if output.finished:
                    self._count(output)
                    done(row.index, self._response(row, output.outputs[0]))
                return bool(output.finished)
            for token in output.outputs[0].token_ids:
                self.work.decode_tokens += 1
                if not row.finished:
                    endings.add(row, token)
            if output.finished and not row.finished:
                endings.end(row, ended=False, full=True)
            if row.finished:
                self._count_prompt(output)
            return row.finished

        asked = [
            (row.prompt_ids, sampling_params(row, stops[row.generation]))
            if row.thought is None
            else (row.prompt_ids, followed_params(row, endings))
            for row in rows
        ]
        if rows:
            self.make_room(max(len(row.prompt_ids) + row.most_tokens for row in rows))
            run(self.name, self.llm, asked, came)

    def _response(self, row: GenerationRow, output: Any) -> Response:
        """A row's response; the text is decoded and cut as for every other backend."""
        row.new_ids = list(output.token_ids)
        text = self.encoder.answer(row.prompt_ids, row.new_ids)
        text, stopped = cut_at_stop(text, row.generation.stop)
        return Response(
            text=text,
            finish="stop" if stopped or output.finish_reason == "stop" else "length",
            prompt_tokens=len(row.prompt_ids),
            completion_tokens=len(row.new_ids),
            prompt_truncated=row.truncated,
            first_token_logprobs=row.first_tokens,
        )

    def _note_first_tokens(self, row: GenerationRow, output: Any) -> None:
        """Note a row's likeliest first tokens, where the output holds its first."""
        if output.logprobs:
            tokens = [
                (self.encoder.written(token), float(one.logprob))
                for token, one in output.logprobs[0].items()
            ]
            row.first_tokens = by_text(tokens, row.top_logprobs)

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        """Score every request's continuations, each in one prefill behind what is cached."""
        from olmes.models.hf.loglikelihood import candidates, response

        waiting: dict[int, list[Candidate]] = {}
        # The engine reads a continuation's last token too, and always gives one token more.
        window = None if self.window is None else self.window - 2
        for index, request in enumerate(requests):
            with report_unanswerable(index, done):
                waiting[index] = candidates(index, request, self.encoder, window)

        def settle(indexes: Iterable[int]) -> None:
            for index in indexes:
                if all(row.finished for row in waiting[index]):
                    done(index, response(waiting.pop(index)))

        rows = [row for group in waiting.values() for row in group if not row.finished]
        settle(list(waiting))
        if not rows:
            return
        self.make_room(max(len(row.token_ids) + 2 for row in rows))
        for cached in (True, False):
            again: list[Candidate] = []

            def came(at: int, output: Any, rows: Any = rows, again: Any = again) -> bool:
                if not output.finished:
                    return False
                row = rows[at]
                self._count(output)
                if set_logprob(row, output):
                    settle([row.index])
                else:
                    again.append(row)
                return True

            run(
                self.name,
                self.llm,
                [(row.token_ids, logprob_params(cached=cached)) for row in rows],
                came,
            )
            rows = again

    def _count_prompt(self, output: Any) -> None:
        cached = output.num_cached_tokens or 0
        self.work.shared_tokens += cached
        self.work.prefill_tokens += len(output.prompt_token_ids) - cached

    def _count(self, output: Any) -> None:
        self._count_prompt(output)
        self.work.decode_tokens += sum(len(one.token_ids) for one in output.outputs)

    @property
    def gpus(self) -> int:
        """GPUs the engine computes on."""
        return super().gpus and self._copies

    def close(self) -> None:
        """Shut the engine down and free the weights."""
        llm = self.__dict__.pop("llm", None)
        if llm is not None:
            llm.llm_engine.engine_core.shutdown()
        del llm
        gc.collect()


def sampling_params(row: GenerationRow, stops: list[int]) -> Any:
    """The engine's settings for one answer."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        **shape_of(row),
        max_tokens=row.max_tokens,
        stop=list(row.generation.stop),
        stop_token_ids=stops,
        detokenize=bool(row.generation.stop),  # else the text is decoded once, by us
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def followed_params(row: GenerationRow, endings: Endings) -> Any:
    """The engine's settings for one thought and answer: what ends which of them, we say."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        **shape_of(row),
        max_tokens=row.room,
        stop_token_ids=sorted(endings.always),
        ignore_eos=endings.ends != endings.always,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
    )


def shape_of(row: GenerationRow) -> JsonObject:
    """How a row is sampled."""
    generation = row.generation
    found = {
        "top_p": generation.top_p,
        "top_k": generation.top_k,
        "min_p": generation.min_p,
        "repetition_penalty": generation.repetition_penalty,
        "seed": row.seed if generation.temperature > 0 else None,
    }
    if row.top_logprobs:
        found["logprobs"] = row.top_logprobs
    given = {name: value for name, value in found.items() if value is not None}
    return {"temperature": generation.temperature, **given}


def logprob_params(*, cached: bool) -> Any:
    """The engine's settings for one continuation.

    The engine leaves its prefix cache unread where log-probabilities of the prompt are asked for,
    because it has none for cached tokens. Only the continuation's are wanted, so the cache is read
    all the same, and `set_logprob` checks that no continuation's token came out of it.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=0.0,
        max_tokens=1,
        prompt_logprobs=0,
        skip_reading_prefix_cache=not cached,
        # Rows of cached tokens are never written: what is in them must not be decoded.
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def set_logprob(row: Candidate, output: Any) -> bool:
    """Set a candidate's `logprob`; False when a token of it came out of the cache."""
    first = len(row.token_ids) - row.length
    # The first token of the continuation is predicted by the position before it.
    if (output.num_cached_tokens or 0) > first - 1:
        return False
    row.logprob = sum(
        float(output.prompt_logprobs[at][row.token_ids[at]].logprob)
        for at in range(first, len(row.token_ids))
    )
    return True


def run(
    name: str,
    llm: Any,
    requests: Sequence[tuple[Sequence[int], Any]],
    came: Callable[[int, Any], bool],
) -> None:
    """Give all requests to the engine, and each one's outputs to `came` until it says they ended.

    Raises:
        OlmesError: the engine died.
    """
    engine = llm.llm_engine
    ended: set[str] = set()
    # The engine appends its own mark to an id, so that outputs are identified by ours alone.
    for at, (ids, settings) in enumerate(requests):
        engine.add_request(str(at), {"prompt_token_ids": list(ids)}, settings)
    while engine.has_unfinished_requests():
        try:
            outputs = engine.step()
        except Exception as error:  # the engine died; what is finished is in the journal
            cause = cause_of(texts_of(error)) or last_reason(texts_of(error))
            raise OlmesError(
                f"vLLM ended while it answered with '{name}': {cause}; the same command resumes."
            ) from error
        for output in outputs:
            if output.request_id in ended:  # it was a step ahead
                continue
            if came(int(output.request_id), output):
                ended.add(output.request_id)
                if not output.finished:
                    engine.abort_request([output.request_id])
