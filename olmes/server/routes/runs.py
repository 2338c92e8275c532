"""Runs and their samples."""

from __future__ import annotations

from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from olmes.client.types import RunDetail, RunList, Sample, SampleList
from olmes.records.schema import LARGEST
from olmes.server.json_response import JsonRoute
from olmes.server.pages.look_lines import look_lines
from olmes.server.refusals import RefusedError
from olmes.server.routes.large_answers import LargeAnswer
from olmes.server.routes.sample_answers import SampleAnswer
from olmes.server.routes.shapes import ERRORS, Limit, RunId, TaskName, Text
from olmes.server.service import caller_key, caller_of, service_of, summary
from olmes.server.store.cursors import Order, cursor, read_cursor
from olmes.server.store.sample_reading import SampleFilter
from olmes.server.store.store import RunFilter, place_of
from olmes.tools.jsonl import compact_json

router = APIRouter(prefix="/api/v1", tags=["runs"], responses=ERRORS, route_class=JsonRoute)


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
    demo_data: bool | None = None,
    standard: bool | None = None,
    limited: bool | None = None,
    q: Annotated[Text, Query(description="Part of the run's or the model's name.")] = None,
    sort: Annotated[
        Order,
        Query(description="By the time that runs say themselves, or by that of their arrival."),
    ] = "created",
    after: Annotated[str | None, Query(max_length=200, pattern=r"^[A-Za-z0-9_-]*$")] = None,
    limit: Limit = 50,
) -> RunList:
    """Runs, the newest first. A run that comes in between moves no later part of the list."""
    wanted = RunFilter(
        model=model, fingerprint=fingerprint, family=family, suite=suite, task=task,
        complete=complete, held_out=held_out, demo_data=demo_data, standard=standard,
        limited=limited, words=q or "",
    )  # fmt: skip
    store = service_of(request).store
    rows = store.find_runs(wanted, limit=limit + 1, before=read_cursor(after, sort), by=sort)
    more, rows = len(rows) > limit, rows[:limit]
    numbers = store.primaries([row.seq for row in rows])
    return RunList(
        runs=[summary(row, numbers[row.seq]) for row in rows],
        next=cursor(place_of(rows[-1], sort)) if more else None,
    )


@router.get("/runs/{run}", response_model=RunDetail)
async def one_run(request: Request, run: RunId) -> Response:
    """A run: its summary and the whole record."""
    service = service_of(request)

    def make() -> Response:
        row = service.store.run_row(run)
        found = summary(row, service.store.primaries([row.seq])[row.seq])
        look = {
            "look": look_lines(service.store, [row]).get(row.seq, ""),
            "looks_before": service.store.looks_before(run),
        }
        answer = LargeAnswer(service.settings.work_folder)
        answer.write(b'{"run":' + compact_json(found) + b',"record":')
        answer.write(service.store.run_text(run).encode())
        answer.write(b"," + compact_json(look)[1:])
        return answer.response()

    return await to_thread.run_sync(make, limiter=service.records)


@router.get("/runs/{run}/run.json", response_class=Response)
async def run_file(request: Request, run: RunId) -> Response:
    """The record, byte for byte as it was uploaded."""
    service = service_of(request)

    def make() -> Response:
        answer = LargeAnswer(service.settings.work_folder)
        answer.write(service.store.run_text(run).encode())
        return answer.response()

    return await to_thread.run_sync(make, limiter=service.records)


@router.get("/runs/{run}/tasks/{task}/samples", response_model=SampleList)
async def list_samples(
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
) -> Response:
    """Samples of a task, in the order of its file. Samples under seal are not served to anybody.

    An answer may hold fewer than `limit` and say where to go on: it ends after 8 MB, or when the
    search took long.
    """
    service = service_of(request)

    def ask() -> tuple[str, bool]:
        row = service.store.samples_of(run, task)
        return row.artifact, service.store.primary_of(run, task).higher_is_better

    artifact, good = await to_thread.run_sync(ask)
    wanted = SampleFilter(
        subtask=subtask, flag=flag, verdict=verdict, doc_id=doc_id, words=q or "",
        higher_is_better=good,
    )  # fmt: skip
    return await SampleAnswer(service, caller_key(request)).many(artifact, wanted, start, limit)


@router.get("/runs/{run}/tasks/{task}/samples/{at}", response_model=Sample)
async def one_sample(request: Request, run: RunId, task: TaskName, at: int) -> Response:
    """The sample at a place of a task's file."""
    service = service_of(request)
    row = await to_thread.run_sync(service.store.samples_of, run, task)
    if not 0 <= at < row.rows:
        raise RefusedError(404, f"{task} has {row.rows} samples.", "at")
    return await SampleAnswer(service, caller_key(request)).one(row.artifact, at)


@router.delete("/runs/{run}", status_code=204)
async def remove_run(request: Request, run: RunId) -> None:
    """Take a run out. A look at held-out tasks stays."""
    service = service_of(request)
    await to_thread.run_sync(service.store.remove, run, caller_of(request))
    request.app.state.pages.expire()
