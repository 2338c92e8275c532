"""Runs and their samples."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from olmes.client.types import RunDetail, RunList, Sample, SampleList
from olmes.records.schema import LARGEST
from olmes.server.pages.look_lines import look_lines
from olmes.server.refusals import RefusedError
from olmes.server.routes.shapes import ERRORS, Limit, RunId, TaskName, Text
from olmes.server.service import caller_of, service_of, summary
from olmes.server.store.artifacts import SampleFilter
from olmes.server.store.cursors import cursor, read_cursor
from olmes.server.store.store import RunFilter

router = APIRouter(prefix="/api/v1", tags=["runs"], responses=ERRORS)
MOST_BYTES = 8 << 20
"""Bytes of samples in one answer."""


@router.get("/runs")
def list_runs(
    request: Request,
    model: Text = None,
    fingerprint: Text = None,
    family: Text = None,
    suite: Text = None,
    task: Text = None,
    complete: bool | None = None,
    held_out: bool | None = None,
    q: Annotated[Text, Query(description="Part of the run's or the model's name.")] = None,
    sort: Literal["arrived", "created"] = "arrived",
    after: Annotated[str | None, Query(max_length=200, pattern=r"^[A-Za-z0-9_-]*$")] = None,
    limit: Limit = 50,
) -> RunList:
    """Runs, the newest first. A run that comes in between moves no later part of the list."""
    wanted = RunFilter(
        model=model, fingerprint=fingerprint, family=family, suite=suite, task=task,
        complete=complete, held_out=held_out, words=q or "",
    )  # fmt: skip
    store = service_of(request).store
    rows = store.find_runs(wanted, limit=limit + 1, before=read_cursor(after), by=sort)
    more, rows = len(rows) > limit, rows[:limit]
    numbers = store.primaries([row.seq for row in rows])
    return RunList(
        runs=[summary(row, numbers[row.seq]) for row in rows],
        next=cursor(rows[-1].created, rows[-1].seq) if more else None,
    )


@router.get("/runs/{run}")
def one_run(request: Request, run: RunId) -> RunDetail:
    """A run: its summary and the whole record."""
    store = service_of(request).store
    row = store.run_row(run)
    numbers = store.primaries([row.seq])[row.seq]
    record = json.loads(store.run_text(run))
    look = look_lines(store, [row]).get(row.seq, "")
    return RunDetail(
        run=summary(row, numbers), record=record, look=look, looks_before=store.looks_before(run)
    )


@router.get("/runs/{run}/run.json", response_class=Response)
def run_file(request: Request, run: RunId) -> Response:
    """The record, byte for byte as it was uploaded."""
    text = service_of(request).store.run_text(run)
    return Response(text.encode(), media_type="application/json")


@router.get("/runs/{run}/tasks/{task}/samples")
def list_samples(
    request: Request,
    run: RunId,
    task: TaskName,
    q: Annotated[Text, Query(description="Words in any text of a sample.")] = None,
    subtask: Text = None,
    flag: Text = None,
    verdict: Literal["right", "partly", "wrong", "none"] | None = None,
    doc_id: Annotated[int | None, Query(ge=-LARGEST, le=LARGEST)] = None,
    start: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    limit: Limit = 50,
) -> SampleList:
    """Samples of a task, in the order of its file. Samples under seal are not served to anybody."""
    store = service_of(request).store
    row = store.samples_of(run, task)
    good = store.primary_of(run, task).higher_is_better
    wanted = SampleFilter(subtask=subtask, flag=flag, verdict=verdict, doc_id=doc_id, words=q or "")
    found, following = store.artifacts.select(
        row.artifact, wanted, start=start, limit=limit, good=good
    )
    samples: list[Sample] = []
    size = 0
    for at, line in found:
        size += len(line)
        if samples and size > MOST_BYTES:
            return SampleList(samples=samples, next=at)
        samples.append(Sample(place=at, row=json.loads(line)))
    return SampleList(samples=samples, next=following)


@router.get("/runs/{run}/tasks/{task}/samples/{at}")
def one_sample(request: Request, run: RunId, task: TaskName, at: int) -> Sample:
    """The sample at a place of a task's file."""
    store = service_of(request).store
    row = store.samples_of(run, task)
    if not 0 <= at < row.rows:
        raise RefusedError(404, f"{task} has {row.rows} samples.", "at")
    rows, _ = store.artifacts.select(row.artifact, SampleFilter(), start=at, limit=1, good=True)
    if not rows:  # a file under seal may have been opened before its rows were counted
        raise RefusedError(404, f"{task} has fewer samples than its record says.", "at")
    [(found, line)] = rows
    return Sample(place=found, row=json.loads(line))


@router.delete("/runs/{run}", status_code=204)
async def remove_run(request: Request, run: RunId) -> None:
    """Take a run out. A look at held-out tasks stays."""
    from anyio import to_thread

    service = service_of(request)
    await to_thread.run_sync(service.store.remove, run, caller_of(request))
    request.app.state.pages.expire()
