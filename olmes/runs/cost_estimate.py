"""What a run would cost, before it starts: requests, tokens, time, memory for the weights.

Nothing is asked of the model, no weights are loaded, nothing is written into the store, and held-out
tasks are not looked at: only prompts are made. Speed and the length of answers come from earlier
records of the store, and where there are none that is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.judging.judges import Judges
from olmes.models.base import Model
from olmes.models.checkpoint.fingerprint import weight_files
from olmes.models.checkpoint.folder import HubCheckpoint
from olmes.models.checkpoint.lineage import family
from olmes.models.hf.model import CheckpointModel
from olmes.models.hf.warm import WarmMemory, tensors
from olmes.models.spec import load_model
from olmes.models.workload import Workload, workload
from olmes.records.environment import environment
from olmes.records.record import Record, readable_records
from olmes.records.schema import Hardware
from olmes.requests.items import Item
from olmes.requests.journal import journaled_items
from olmes.requests.plan import Plan
from olmes.requests.response_cache import ResponseCache, ResponseKeys
from olmes.runs.evaluation import Evaluation
from olmes.runs.run import run_name
from olmes.tools.notices import say_once

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """What a run would ask and cost. None stands for what cannot be known."""

    model: str
    run: str
    """The name its folder would have; '' where weights that are not here decide it."""
    finished: bool
    """Whether its record is there already, so that nothing would be asked."""
    requests: int
    in_journal: int
    in_cache: int
    equal: int
    """Requests that are equal to another one of the run."""
    asked: int
    """Requests that would go to the model."""
    prompt_tokens: int | None
    """Of what would be asked: prompts, and continuations to weigh."""
    shared_tokens: int | None
    """Those of them that need not be computed again, since others begin alike."""
    new_tokens_limit: int
    """Written at most."""
    thought_tokens_limit: int
    """Of these, in thoughts."""
    new_tokens: int
    """Written, if answers are as long as in earlier records; the limit where there are none."""
    lengths_from: dict[str, str]
    """By task: the run whose answers' length was taken, or '' where the limit was."""
    seconds: float | None
    """In the model, for `new_tokens`."""
    seconds_limit: float | None
    """In the model, for `new_tokens_limit`."""
    speed_from: tuple[str, ...]
    """The runs whose speed was taken: same engine, architecture and machine."""
    weights_bytes: int | None
    """Memory the weights take."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field."""
        return asdict(self)


def estimate_all(names: Sequence[str], evaluation: Evaluation) -> list[CostEstimate]:
    """The estimate of each model; tokens are made once for all that share a tokenizer.

    Raises:
        OlmesError: a model cannot be loaded, or the plan cannot be made.
    """
    warm, options = WarmMemory(), evaluation.options
    records = list(records_of(options.out))
    loaded = [load_model(name, warm=warm, **options.engine) for name in names]
    return [
        estimate(
            evaluation.plan(model),
            model,
            records,
            out=options.out,
            judges=evaluation.judges(),
            use_cache=options.use_cache,
        )
        for model in loaded
    ]


def estimate(
    plan: Plan,
    model: Model,
    records: Sequence[Record],
    *,
    out: Path,
    judges: Judges | None = None,
    use_cache: bool = True,
) -> CostEstimate:
    """What a plan would cost on a model.

    Args:
        plan: what would be asked.
        model: who would be asked.
        records: earlier runs.
        out: the store the run would go to.
        judges: who would judge; their own cost is not estimated.
        use_cache: whether the run would use the cache.

    Raises:
        OlmesError: the model's files cannot be read.
    """
    here = weights_here(model)
    run, finished, journaled = "", False, set[str]()
    if here:
        judged = [task.task.name for task in plan.tasks if task.task.judged]
        described = (judges or Judges()).described(judged)
        run = run_name(plan, model, plan.identity(model.fingerprint, model.engine, described))
        record = out / run / "run.json"
        finished = record.exists() and Record.load(record.parent).complete
        journaled = journaled_items(out / run)
    items = plan.items
    missing = [at for at, item in enumerate(items) if item.key not in journaled and not finished]
    asked = equal_requests(items, missing, model) if here else {str(at): [at] for at in missing}
    cached = cached_keys(asked, use_cache=use_cache and here and model.cacheable)
    firsts = [positions[0] for key, positions in asked.items() if key not in cached]
    work = workload(model, [items[at].request for at in firsts])
    limits = [
        (items[at].instance.task, limit + thought)
        for at, limit, thought in zip(firsts, work.new_tokens, work.thoughts, strict=True)
        if limit
    ]
    most = sum(limit for _, limit in limits)
    means = {name: mean_length(plan, model, name, records) for name, _ in limits}
    expected = sum(
        limit if (mean := means[name][0]) is None else min(mean, limit) for name, limit in limits
    )
    rate, speed_from = speed(plan, model, records) if here else (None, ())
    in_cache = sum(len(asked[key]) for key in cached)
    return CostEstimate(
        model=model.name,
        run=run,
        finished=finished,
        requests=len(items),
        in_journal=len(items) - len(missing),
        in_cache=in_cache,
        equal=len(missing) - in_cache - len(firsts),
        asked=len(firsts),
        prompt_tokens=work.prompt_tokens,
        shared_tokens=work.shared_tokens,
        new_tokens_limit=most,
        thought_tokens_limit=sum(work.thoughts),
        new_tokens=round(expected),
        lengths_from={name: source for name, (_, source) in means.items()},
        seconds=seconds(work, expected, rate),
        seconds_limit=seconds(work, most, rate),
        speed_from=speed_from,
        weights_bytes=weights_bytes(model) if here else None,
    )


def equal_requests(
    items: Sequence[Item], positions: Sequence[int], model: Model
) -> dict[str, list[int]]:
    """Positions by response key, in order: those under one key have the same response."""
    keys = ResponseKeys(model, None)
    equal: dict[str, list[int]] = {}
    for position in positions:
        item = items[position]
        # A model without tokens (a recording) cannot tell equal prompts; every item is its own.
        key = keys.key(item.request) if model.cacheable else item.key
        equal.setdefault(key, []).append(position)
    return equal


def weights_here(model: Model) -> bool:
    """Whether nothing would have to be fetched to know a model's fingerprint."""
    checkpoint = getattr(model, "checkpoint", None)
    if not isinstance(checkpoint, HubCheckpoint):
        return True
    folder = checkpoint.folder(weights=False)
    try:
        return bool(weight_files(folder))
    except OlmesError:
        return False


def cached_keys(asked: Mapping[str, list[int]], *, use_cache: bool) -> set[str]:
    """The keys the cache has a response to."""
    if not use_cache:
        return set()
    cache = ResponseCache(read_only=True)
    try:
        found = {key for key in asked if cache.get(key) is not None}
        for sentence in cache.said:
            say_once(sentence)
        return found
    finally:
        cache.close()


def records_of(out: Path) -> Iterator[Record]:
    """Every record of a store that can be read, the newest first."""
    yield from sorted(readable_records(out)[0], key=lambda record: record.run.created, reverse=True)


def mean_length(
    plan: Plan, model: Model, name: str, records: Sequence[Record]
) -> tuple[float | None, str]:
    """Tokens a response of a task had in the nearest earlier record, and that record's name.

    The nearest has the same weights, or else is of the same family, or else any with the same
    formulation.
    """
    [task] = [one.task for one in plan.tasks if one.task.name == name]

    def same_weights(record: Record) -> bool:
        return weights_here(model) and record.run.model.fingerprint == model.fingerprint

    def same_family(record: Record) -> bool:
        return record.run.model.family == family(model)

    fitting = [
        record
        for record in records
        if (found := record.tasks.get(name))
        and found.formulation_hash == task.formulation_hash
        and found.n > found.said("failed")
        # How long answers without thoughts are says nothing of a model that thinks.
        and (found.tokens.get("reasoning") or not model.thinks)
    ]
    for near in (same_weights, same_family, lambda _: True):
        for record in filter(near, fitting):
            found = record.tasks[name]
            answered = found.n - found.said("failed")
            return found.tokens.get("completion", 0) / answered, record.id
    return None, ""


def speed(
    plan: Plan, model: Model, records: Sequence[Record]
) -> tuple[float | None, tuple[str, ...]]:
    """Tokens a second in earlier runs of the same engine, architecture and machine.

    Runs of the same tasks go before others: reading is many times faster than writing, so that a
    speed holds for its own mixture of the two.
    """
    here = environment().hardware
    names = {task.task.name for task in plan.tasks}
    fitting = [
        record
        for record in records
        if record.run.cost
        and record.run.cost.tokens_per_s
        and record.run.model.engine == model.engine
        and architecture(record.run.model.parts) == architecture(model.fingerprint_parts)
        and same_processor(record.run.environment.hardware, here)
    ]
    same = [record for record in fitting if set(record.tasks) == names] or fitting
    if not same:
        return None, ()
    costs = [record.run.cost for record in same if record.run.cost]
    tokens = sum(cost.prefill_tokens + cost.decode_tokens for cost in costs)
    return tokens / sum(cost.model_s for cost in costs), tuple(record.id for record in same)


def same_processor(one: Hardware, other: Hardware) -> bool:
    """Whether two machines are alike but for what torch, which a replay does not load, says of GPUs."""
    return (one.cpu, one.cores) == (other.cpu, other.cores)


def architecture(parts: Mapping[str, str] | None) -> str | None:
    """What two checkpoints of one architecture have in common."""
    return (parts or {}).get("config")


def seconds(work: Workload, new_tokens: float, rate: float | None) -> float | None:
    """Model time at a speed; None where tokens or speed are not known."""
    if rate is None or work.prompt_tokens is None:
        return None
    return round((work.prompt_tokens - (work.shared_tokens or 0) + new_tokens) / rate, 1)


def weights_bytes(model: Model) -> int | None:
    """Memory of a checkpoint's weights in the precision they are run in."""
    if not isinstance(model, CheckpointModel):
        return None
    files = weight_files(model.checkpoint.folder(weights=True))
    if any(file.suffix != ".safetensors" for file in files):
        return sum(file.stat().st_size for file in files)
    shapes: list[list[int]] = [one["shape"] for one in tensors(files).values()]
    return BYTES[model.dtype] * sum(map(math.prod, shapes))
