"""What a run costs: tokens the model computed, the time it took, memory.

Apart from what came from the journal, the cache, or an equal request. A run that was stopped and
went on has the sum of its sessions: `cost.json` in its folder is written every second until the record
is whole, so that a killed session loses no more than its last second.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from olmes.models.base import Done, EncodedPrompt, Model, Work
from olmes.records.check import FieldError, converted
from olmes.records.schema import Cost
from olmes.scoring.process.pool import ScoringPool
from olmes.tools.durable_files import remove_unfinished, write_atomically
from olmes.tools.jsonl import dumps
from olmes.types import JsonObject, Request, Response

FILE_NAME = "cost.json"
SAVE_SECONDS = 1.0
COUNTS = (
    "sessions", "requests", "reused", "prefill_tokens", "decode_tokens", "reasoning_tokens",
)  # fmt: skip
SECONDS = ("wall_s", "model_s", "load_s", "scoring_cpu_s", "gpu_s")


def settled(cost: Cost, *, recorded: bool) -> Cost:
    """A cost as it is written down: rounded, with what follows from it (`idle_s`, `tokens_per_s`).

    Recorded responses have no speed: reading them is not the model's work.
    """
    computed = cost.prefill_tokens + cost.decode_tokens
    return msgspec.structs.replace(
        cost,
        **{name: round(getattr(cost, name), 3) for name in SECONDS},
        idle_s=round(max(0.0, cost.wall_s - cost.model_s - cost.load_s), 3),
        tokens_per_s=round(computed / cost.model_s, 1) if cost.model_s and not recorded else None,
    )


def summed(one: Cost, other: Cost) -> Cost:
    """Two sessions as one: of memory the larger, of shared tokens none where either is not known."""
    asked = [cost for cost in (one, other) if cost.requests]
    shared = [cost.shared_tokens for cost in asked if cost.shared_tokens is not None]
    return Cost(
        **{name: getattr(one, name) + getattr(other, name) for name in (*COUNTS, *SECONDS)},
        shared_tokens=sum(shared) if len(shared) == len(asked) else None,
        peak_rss_bytes=larger(one.peak_rss_bytes, other.peak_rss_bytes),
        peak_gpu_bytes=larger(one.peak_gpu_bytes, other.peak_gpu_bytes),
    )


def larger(one: int | None, other: int | None) -> int | None:
    """The larger of two sizes, as far as they are known."""
    return max((size for size in (one, other) if size), default=None)


class Meter:
    """Counts what one session of a run costs, beside what earlier sessions did.

    Args:
        folder: the run's.
        model: who is asked; `metered` is to be asked in its place.
    """

    def __init__(self, folder: Path, model: Model) -> None:
        self.path = folder / FILE_NAME
        self.earlier = read_cost(self.path)
        self.session = Cost(sessions=1)
        self.model = model
        self.metered = MeteredModel(model, self)
        self.pool: ScoringPool | None = None
        self.scored = 0.0
        self.began = self.saved = time.perf_counter()
        self.work = dataclasses.replace(model.work) if model.work else Work()

    def scores_with(self, pool: ScoringPool) -> None:
        """The run's scoring processes; what they did before is another run's."""
        self.pool, self.scored = pool, pool.cpu_s

    def reused(self) -> None:
        """A response came from elsewhere than the model or the journal."""
        self.session.reused += 1

    def thought(self, response: Response) -> None:
        """The model's response was taken apart into thought and answer."""
        self.session.reasoning_tokens += response.reasoning_tokens

    def asked(self, request: Request, response: Response) -> None:
        """The model answered a request."""
        session = self.session
        session.requests += 1
        if self.model.work is None:
            session.prefill_tokens += response.prompt_tokens
            if request.continuations or request.answers:
                session.prefill_tokens += response.completion_tokens
            else:
                session.decode_tokens += response.completion_tokens

    def total(self) -> Cost:
        """All sessions until now."""
        session, done, before = self.session, self.model.work, self.work
        if done is not None:
            session.prefill_tokens = done.prefill_tokens - before.prefill_tokens
            session.shared_tokens = done.shared_tokens - before.shared_tokens
            session.decode_tokens = done.decode_tokens - before.decode_tokens
        if self.pool:
            session.scoring_cpu_s = self.pool.cpu_s - self.scored
        session.wall_s = time.perf_counter() - self.began
        session.gpu_s = session.model_s * self.model.gpus if session.model_s else 0.0
        session.peak_rss_bytes, session.peak_gpu_bytes = peak_rss(), peak_gpu()
        return summed(self.earlier, session)

    def as_json(self) -> str:
        """All sessions until now, as `cost.json` has them."""
        cost = settled(self.total(), recorded=self.model.recorded)
        return dumps(msgspec.to_builtins(cost)) + "\n"

    def save(self) -> None:
        """Write the sum down, at most once a second."""
        now = time.perf_counter()
        if now - self.saved > SAVE_SECONDS:
            self.saved = now
            write_atomically(self.path, self.as_json())

    def close(self, *, remove: bool) -> None:
        """Write the sum down for a later session; `remove` it when the record is whole."""
        if remove:
            remove_cost(self.path.parent)
            return
        # A disk that is full was told of by then, or is when more is written.
        with contextlib.suppress(OSError):
            write_atomically(self.path, self.as_json())


def remove_cost(folder: Path) -> None:
    """Remove the sum of a run's sessions, and one that a killed process left half written."""
    (folder / FILE_NAME).unlink(missing_ok=True)
    remove_unfinished(folder / FILE_NAME)


class MeteredModel(Model):
    """A model whose time is taken; what is done with its responses is not its time."""

    def __init__(self, model: Model, meter: Meter) -> None:
        self.model = model
        self.meter = meter
        self.name = model.name
        self.cacheable, self.recorded = model.cacheable, model.recorded

    @property
    def fingerprint(self) -> str:
        """The model's own."""
        return self.model.fingerprint

    @property
    def engine(self) -> JsonObject:
        """The model's own."""
        return self.model.engine

    @property
    def encoding(self) -> str:
        """The model's own."""
        return self.model.encoding

    def encode(self, request: Request) -> EncodedPrompt:
        """As the model does."""
        return self.model.encode(request)

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """As the model does."""
        self.timed(self.model.generate, requests, done)

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        """As the model does."""
        self.timed(self.model.loglikelihood, requests, done)

    def rewards(self, requests: Sequence[Request], done: Done) -> None:
        """As the model does."""
        self.timed(self.model.rewards, requests, done)

    def timed(
        self,
        ask: Callable[[Sequence[Request], Done], None],
        requests: Sequence[Request],
        done: Done,
    ) -> None:
        """Ask, and count the time by what it went into."""
        session, work = self.meter.session, self.model.work
        mark = time.perf_counter()
        loaded = work.load_s if work else 0.0

        def in_model() -> None:
            nonlocal mark, loaded
            now, load = time.perf_counter(), work.load_s if work else 0.0
            session.load_s += load - loaded
            session.model_s += max(0.0, now - mark - (load - loaded))
            mark, loaded = now, load

        def arrived(index: int, response: Response) -> None:
            nonlocal mark
            in_model()
            self.meter.asked(requests[index], response)
            done(index, response)
            self.meter.save()
            mark = time.perf_counter()

        try:
            ask(requests, arrived)
        finally:
            in_model()


def read_cost(path: Path) -> Cost:
    """What earlier sessions cost; nothing where they left no file that can be read."""
    try:
        return converted(json.loads(path.read_text("utf-8")), Cost)
    except (OSError, ValueError, FieldError):
        return Cost()


def peak_rss() -> int | None:
    """The largest resident memory of this process so far, in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_gpu() -> int | None:
    """The largest memory torch has taken on the first GPU, where it was loaded and has one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return int(torch.cuda.max_memory_allocated())
