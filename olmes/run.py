"""A run: one model on some tasks, from plan to record.

suite -> task -> instances -> requests -> (journal, cache) -> model -> responses -> (judge) -> verdicts
-> record
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from olmes.answering import Origin, answer_all
from olmes.cache import ResponseCache
from olmes.journal import Journal
from olmes.judging.judge import Judge
from olmes.judging.stage import Judged, judge_responses
from olmes.models.base import Model
from olmes.plan import Item, Plan
from olmes.record import Record
from olmes.recording import write_record
from olmes.scoring.pool import ScoringPool
from olmes.seal.look import Look, take_look
from olmes.seal.sealing import write_result
from olmes.sheet import ScoreSheet
from olmes.types import Judgement, Question, Response


class Watcher:
    """Told what happens while a run goes on; the command line draws progress from it."""

    def started(self, plan: Plan, folder: Path) -> None:
        """The plan is made; the first response is about to be had."""

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """One response is there, from the journal, the cache or the model."""

    def judging(self, responses: int) -> None:
        """Every response is there; a judge is asked about so many of them."""

    def judged(self) -> None:
        """All questions about one response are answered."""

    def scoring(self) -> None:
        """Nothing more is asked; the last verdicts are being waited for."""

    def ended(self) -> None:
        """The run is over, well or not."""


def run(
    plan: Plan,
    model: Model,
    *,
    out: Path,
    judge: Judge | None = None,
    look: Look | None = None,
    use_cache: bool = True,
    scoring_processes: int | None = None,
    watcher: Watcher | None = None,
) -> Record:
    """Run a plan on a model, or go on with the same run where it stopped.

    A finished run is returned as it is. A run killed at any moment goes on when the same plan is run
    on the same model with the same `out`, and ends with the same record.

    Args:
        plan: what is asked.
        model: who is asked.
        out: the store: the folder of the runs' folders and of the ledger.
        judge: answers the questions of judged tasks.
        look: why held-out tasks are looked at, when the plan has any.
        use_cache: whether responses are taken from and put into the cache shared by all runs.
        scoring_processes: how many; None takes half of the processors.
        watcher: told what happens.

    Raises:
        OlmesError: the model cannot be loaded, the run's folder is in use, or held-out tasks may
            not be looked at.
    """
    watcher = watcher or Watcher()
    judged = any(task.task.judged for task in plan.tasks)
    identity = plan.identity(
        model.fingerprint, model.engine, judge.describe() if judge and judged else None
    )
    folder = out / run_name(plan, model, identity)
    taken = take_look(plan, model, folder.name, out, look)
    if (folder / "run.json").exists() and (record := Record.load(folder)).complete:
        return record
    began = time.perf_counter()
    sheets = [ScoreSheet.of_plan(task) for task in plan.tasks]
    journal = Journal(folder, packed=taken is not None)
    cache = ResponseCache() if use_cache else None
    watcher.started(plan, folder)
    try:
        with ScoringPool(
            {one.task.name: one.task for one in plan.tasks}, scoring_processes
        ) as pool:
            respond(plan, sheets, model, journal, cache, pool, watcher)
            responded = time.perf_counter()
            judges = None
            if judged:
                judges = have_judged(plan, sheets, judge, journal, cache, pool, watcher)
            asked = time.perf_counter()
            watcher.scoring()
            pool.join()
        timing = {"answer_s": responded - began, "score_s": time.perf_counter() - asked}
        if judged:
            timing["judge_s"] = asked - responded
        record = write_record(
            folder, plan, model, identity, sheets, judges=judges, look=taken, timing=timing
        )
        if taken is not None:
            write_result(out, record)
        journal.close(remove=record.complete)
        return record
    finally:
        watcher.ended()
        journal.close()
        if cache:
            cache.close()
        model.close()
        if judge:
            judge.model.close()


def respond(
    plan: Plan,
    sheets: list[ScoreSheet],
    model: Model,
    journal: Journal,
    cache: ResponseCache | None,
    pool: ScoringPool,
    watcher: Watcher,
) -> None:
    """Get every response; those that need no judge are scored while others are still awaited."""
    places = [(sheet, row) for sheet in sheets for row in range(len(sheet.rows))]

    def answered(position: int, response: Response, origin: Origin) -> None:
        sheet, row = places[position]
        sheet.responded(row, response)
        if not response.error and not sheet.task.judged:
            sheet.score(row, response, pool)
        watcher.answered(sheet.task.name, response, origin)

    answer_all(plan.items, model, journal, cache, answered)


def have_judged(
    plan: Plan,
    sheets: list[ScoreSheet],
    judge: Judge | None,
    journal: Journal,
    cache: ResponseCache | None,
    pool: ScoringPool,
    watcher: Watcher,
) -> Judged:
    """Put the judged tasks' questions to the judge, and have the judged responses scored."""
    places: list[tuple[ScoreSheet, int, Response]] = []
    cases: list[tuple[int, Item, tuple[Question, ...]]] = []
    for task_plan, sheet in zip(plan.tasks, sheets, strict=True):
        for row, item in enumerate(task_plan.items) if sheet.task.judged else ():
            response = Response.from_json(sheet.rows[row]["response"])
            if not response.error:
                questions = sheet.task.questions(item.instance.doc, response)
                cases.append((len(places), item, questions))
                places.append((sheet, row, response))

    def judged(position: int, questions: tuple[Question, ...], judgements: list[Judgement]) -> None:
        sheet, row, response = places[position]
        sheet.judged(row, questions, judgements)
        if not any(judgement.error for judgement in judgements):
            sheet.score(row, response, pool, judgements)
        watcher.judged()

    watcher.judging(len(cases))
    return judge_responses(cases, judge, journal, cache, judged)


def run_name(plan: Plan, model: Model, identity: str) -> str:
    """`model-suite-hash`: readable, and the same for the same run."""
    what = plan.suite.name if plan.suite else "-".join(task.task.name for task in plan.tasks)
    # Without the address of a server, and without the backend's prefix.
    bare = re.sub(r"@https?://.*", "", model.name).rpartition(":")[2]
    last = "/".join(bare.split("/")[-2:])
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{last}-{what}").strip("-.")
    return f"{name[-80:]}-{identity[:8]}"
