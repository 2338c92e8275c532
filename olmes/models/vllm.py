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
from olmes.types import Generation, JsonObject, Request, Response

if TYPE_CHECKING:
    from olmes.models.hf.loglikelihood import Candidate

OPTIONS: dict[str, type[int] | type[float]] = {
    "tensor_parallel_size": int,
    "pipeline_parallel_size": int,
    "data_parallel_size": int,
    "gpu_memory_utilization": float,
}
"""What may follow the model's name: `vllm:NAME?tensor_parallel_size=2&...`."""


def parse_target(target: str) -> tuple[str, dict[str, int | float]]:
    """The model's name and the engine's options in `NAME?key=value&key=value`.

    Raises:
        OlmesError: an option is unknown or is not a number.
    """
    name, _, written = target.partition("?")
    options: dict[str, int | float] = {}
    for part in filter(None, written.split("&")):
        key, _, value = part.partition("=")
        if key not in OPTIONS:
            raise OlmesError(
                f"'vllm:' has no option '{key}'; the options are {', '.join(OPTIONS)}."
            )
        try:
            options[key] = OPTIONS[key](value)
        except ValueError:
            raise OlmesError(f"the option {key} is '{value}'; give a number.") from None
    return name, options


class VLLMModel(CheckpointModel):
    """A checkpoint of a causal language model, run by vLLM.

    Args:
        name: what the user called it.
        checkpoint: where its files are.
        options: of the engine; see `OPTIONS`.
        **settings: those of `CheckpointModel`; `batch_size` is the most requests at once.

    Raises:
        OlmesError: from any method that needs the engine: vLLM is not installed.
    """

    def __init__(
        self,
        name: str,
        checkpoint: files.Checkpoint,
        options: Mapping[str, int | float],
        **settings: Any,
    ) -> None:
        super().__init__(name, checkpoint, **settings)
        self.options = dict(options)

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
        from vllm import LLM

        began = time.perf_counter()
        folder = str(self.checkpoint.folder(weights=True))
        limits = {"max_model_len": self.window, "max_num_seqs": self._batch_size}
        llm = LLM(
            model=folder,
            dtype=self.dtype,
            trust_remote_code=self.trust,
            enable_prefix_caching=True,
            # The checkpoint's decoding settings must not leak in; its end tokens are given by us.
            generation_config="vllm",
            # Compiling takes minutes on a CPU, and little is won there.
            enforce_eager=self.device == "cpu",
            **{name: value for name, value in limits.items() if value is not None},
            **self.options,
        )
        self.work.load_s += time.perf_counter() - began
        return llm

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
        run(self.llm, asked, came)

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
        )

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

            run(self.llm, [(row.token_ids, logprob_params(cached=cached)) for row in rows], came)
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
        parallel = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
        return super().gpus and math.prod(int(self.options.get(name, 1)) for name in parallel)

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
    llm: Any,
    requests: Sequence[tuple[Sequence[int], Any]],
    came: Callable[[int, Any], bool],
) -> None:
    """Give all requests to the engine, and each one's outputs to `came` until it says they ended."""
    engine = llm.llm_engine
    ended: set[str] = set()
    # The engine appends its own mark to an id, so that outputs are identified by ours alone.
    for at, (ids, settings) in enumerate(requests):
        engine.add_request(str(at), {"prompt_token_ids": list(ids)}, settings)
    while engine.has_unfinished_requests():
        for output in engine.step():
            if output.request_id in ended:  # it was a step ahead
                continue
            if came(int(output.request_id), output):
                ended.add(output.request_id)
                if not output.finished:
                    engine.abort_request([output.request_id])
