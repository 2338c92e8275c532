"""A run: one model on some tasks, from plan to record.

suite -> task -> instances -> requests -> (journal, cache) -> model -> responses -> (judge) -> verdicts
-> record
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path

from olmes.judging.judges import Judges
from olmes.judging.stage import Judging, judge_responses
from olmes.models.base import Model
from olmes.models.recorded_rows import ENDINGS
from olmes.reasoning import split
from olmes.records.record import RUN_FILE, Record
from olmes.records.running_score import RunningScore, running_score
from olmes.records.schema import ResponseRow
from olmes.requests.callbacks import Guarded, RunCallback
from olmes.requests.dispatch import Origin, answer_all
from olmes.requests.journal import FILE_NAME as JOURNAL
from olmes.requests.journal import Journal
from olmes.requests.plan import Plan
from olmes.requests.refusals import Watch
from olmes.requests.response_cache import ResponseCache
from olmes.runs.cost import Meter, remove_cost
from olmes.runs.needs import check_needs, clearer
from olmes.runs.options import RunOptions
from olmes.runs.response_rows import RunSheet, ToJudge
from olmes.runs.write_record import renamed, showing, write_record
from olmes.scoring.process.pool import ScoringPool
from olmes.scoring.process.shared_pool import SharedPool
from olmes.seal.look import take_look
from olmes.seal.sealing import write_result
from olmes.tools.durable_files import make_folder, remove_unfinished
from olmes.tools.locks import held
from olmes.types import Judgement, Question, Response

JUDGED_AT_ONCE = 10_000
"""Responses whose questions are put to a judge together; more than any judged benchmark has."""


def run(
    plan: Plan,
    model: Model,
    options: RunOptions,
    *,
    judges: Judges | None = None,
    callback: RunCallback | None = None,
    scorers: SharedPool | None = None,
) -> Record:
    """Run a plan on a model, or resume the same run where it stopped.

    A finished run is returned as it is. A run killed at any moment resumes when the same plan is run
    on the same model with the same store, and ends with the same record.

    Args:
        plan: what is asked.
        model: who is asked.
        options: the store, the look, the cache and the scoring processes; what else they say is in
            the plan already.
        judges: answer the questions of judged tasks.
        callback: called at the events of the run; what it raises is said and does not end the run.
        scorers: scoring processes that outlive the run; None has the run end its own.

    Raises:
        OlmesError: the model cannot be loaded or asked, the run's folder is in use, held-out tasks
            may not be looked at, or a score of requests were refused alike.
    """
    out = options.out
    callback = Guarded(callback or RunCallback())
    judges = judges or Judges()
    judged = [task.task.name for task in plan.tasks if task.task.judged]
    with clearer(model):
        fingerprint, engine = model.fingerprint, model.engine
    identity = plan.identity(fingerprint, engine, judges.described(judged))
    folder = out / run_name(plan, model, identity)
    if not (folder / RUN_FILE).exists():
        check_needs(plan, model, judges, use_cache=options.use_cache)
    taken = take_look(plan, model, folder.name, out, options.look)
    if (record := earlier(folder)) and record.complete:
        if taken is not None:
            write_result(out, record)
        remove_leftovers(folder)
        return renamed(showing(record, plan.k), options.name)
    began = time.perf_counter()
    new = not out.exists()
    make_folder(folder)
    packed = taken is not None or any(one.dataset.gated for one in plan.tasks)
    journal = Journal(folder, packed=packed)
    sheets = [RunSheet(task, folder, packed=packed) for task in plan.tasks]
    tell_scores(sheets, taken.tasks if taken else (), callback)
    cache = ResponseCache(packed=packed) if options.use_cache else None
    meter = Meter(folder, model)
    shared = scorers or SharedPool()
    whole = False
    callback.started(plan, folder)
    try:
        tasks = {one.task.name: one.task for one in plan.tasks}
        with shared.borrow(tasks, options.scoring_processes) as pool:
            meter.scores_with(pool)
            respond(plan, sheets, meter, journal, cache, pool, callback)
            responded = time.perf_counter()
            judging = None
            if judged:
                judging = have_judged(sheets, judges, journal, cache, pool, callback)
            asked = time.perf_counter()
            callback.scoring()
            pool.join()
        for sheet in sheets:
            sheet.settle()
        timing = {"answer_s": responded - began, "score_s": time.perf_counter() - asked}
        if judged:
            timing["judge_s"] = asked - responded
        record = write_record(
            folder, plan, model, identity, sheets,
            judges=judging, look=taken, timing=timing, cost=meter.total(),
            troubles=cache.said if cache else (),
        )  # fmt: skip
        journal.close(remove=record.complete)
        whole = record.complete
        return record
    finally:
        barren = journal.empty and not (folder / RUN_FILE).exists()
        meter.close(remove=whole or barren)
        callback.ended()
        if scorers is None:
            shared.close()
        journal.close(remove=barren)
        for sheet in sheets:
            sheet.rows.close()
        if barren:
            remove_empty(folder, *([out] if new else []))
        if cache:
            cache.close()
        model.close()
        for judge in judges:
            judge.model.close()


def earlier(folder: Path) -> Record | None:
    """The record of an earlier session; None where there is none, or no JSON that says anything.

    Raises:
        OlmesError: it is of a newer olmes, or was changed by hand: it is not overwritten.
    """
    path = folder / RUN_FILE
    if not path.exists():
        return None
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError):  # cut off by a power cut, say: it is written again
        return None
    return Record.load(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove what a process left that was killed between its record and its end."""
    journal = folder / JOURNAL
    if not held(journal):  # else that process is about to do so
        journal.unlink(missing_ok=True)
        remove_cost(folder)
        remove_unfinished(folder / RUN_FILE)


def remove_empty(*folders: Path) -> None:
    """Remove folders in which there is nothing: a run that got no answer leaves none."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def tell_scores(
    sheets: Sequence[RunSheet], held_out: Collection[str], callback: RunCallback
) -> None:
    """Have the callback hear of every verdict, and of the score so far; not of held-out tasks."""
    for sheet in sheets:
        name = sheet.task.name
        score = None if name in held_out else running_score(sheet.task)
        if score is not None:
            sheet.heard = partial(verdict_given, name, score, callback)


def verdict_given(name: str, score: RunningScore, callback: RunCallback, row: ResponseRow) -> None:
    """Count a verdict into its task's running score and tell of it."""
    score.add(row)
    callback.scored(name, score)


def respond(
    plan: Plan,
    sheets: Sequence[RunSheet],
    meter: Meter,
    journal: Journal,
    cache: ResponseCache | None,
    pool: ScoringPool,
    callback: RunCallback,
) -> None:
    """Get every response; those that need no judge are scored while others are still awaited."""
    items = plan.items
    reader = meter.model.reader
    readers = [reader.said(sheet.task.formulation.reasoning) for sheet in sheets]

    def answered(position: int, response: Response, origin: Origin) -> None:
        number, row = items.locate(position)
        sheet = sheets[number]
        response = split(response, readers[number])
        sheet.responded(row, response)
        if not response.error and not sheet.task.judged:
            sheet.score(row, response, pool)
        if origin in ("cache", "duplicate"):
            meter.reused()
        elif origin in ("model", "recording"):
            meter.thought(response)
        callback.answered(sheet.task.name, response, origin)

    answer_all(items, meter.metered, journal, cache, answered, Watch.of(meter.model))


def have_judged(
    sheets: Sequence[RunSheet],
    judges: Judges,
    journal: Journal,
    cache: ResponseCache | None,
    pool: ScoringPool,
    callback: RunCallback,
) -> Judging:
    """Put the judged tasks' questions to their judges, and have the judged responses scored."""
    judged = [sheet for sheet in sheets if sheet.task.judged]
    callback.judging(sum(sheet.to_ask for sheet in judged))
    judging = Judging(judges)
    to_judge = chain.from_iterable(sheet.to_judge() for sheet in judged)
    while wave := list(islice(to_judge, JUDGED_AT_ONCE)):
        on_judged = partial(score_judged, wave, pool, callback)
        cases = [case.questions(number) for number, case in enumerate(wave)]
        judging.add(judge_responses(cases, judges, journal, cache, on_judged))
    return judging


def score_judged(
    wave: Sequence[ToJudge],
    pool: ScoringPool,
    callback: RunCallback,
    number: int,
    questions: tuple[Question, ...],
    judgements: list[Judgement],
) -> None:
    """Have a response scored whose questions are answered."""
    case = wave[number]
    case.sheet.record_judgements(case.row, questions, judgements)
    if not any(judgement.error for judgement in judgements):
        case.sheet.score(case.row, case.response, pool, judgements)
    callback.response_judged()


def run_name(plan: Plan, model: Model, identity: str) -> str:
    """`model-suite-hash`: readable, and the same for the same run."""
    what = plan.suite.name if plan.suite else "-".join(task.task.name for task in plan.tasks)
    # Without the address of a server, and without the backend's prefix.
    bare = re.sub(r"@https?://.*", "", model.name).rpartition(":")[2]
    last = "/".join(bare.split("/")[-2:])
    last = model.recorded_model.name if model.recorded_model else ENDINGS.sub("", last)
    if adapter := getattr(getattr(model, "checkpoint", None), "named", None):
        last += "-" + "/".join(adapter.split("/")[-2:])
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{last}-{what}").strip("-.")
    return f"{name[-80:]}-{identity[:8]}"
