"""Live: evaluations under way, and the stream of what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Header, Query, Request
from fastapi.responses import StreamingResponse

from olmes.client.types import Running, UnderWay
from olmes.records.running_score import so_far
from olmes.records.schema import LARGEST
from olmes.server.json_response import JsonRoute
from olmes.server.pace import pace_words
from olmes.server.routes.shapes import ERRORS, Progress
from olmes.server.service import caller_key, caller_of, service_of
from olmes.tools.jsonl import dumps

router = APIRouter(prefix="/api/v1", tags=["live"], responses=ERRORS, route_class=JsonRoute)


@router.post("/progress", status_code=204)
async def report_progress(request: Request, progress: Annotated[Progress, Body()]) -> None:
    """Say how far an evaluation is. It is forgotten after ten minutes of silence."""
    facts = UnderWay(
        run=progress.run,
        model=progress.model,
        suite=progress.suite,
        task=progress.task,
        done=progress.done,
        total=progress.total,
        finished=progress.finished,
        score=""
        if progress.score is None
        else so_far(progress.score, progress.scored, progress.unit),
        tokens_per_s=progress.tokens_per_s,
        left_s=progress.left_s,
        pace=pace_words(progress.tokens_per_s, progress.left_s),
    )
    service_of(request).hub.progress(caller_of(request).name, facts)


@router.get("/progress")
async def running(request: Request) -> Running:
    """Evaluations under way."""
    return Running(running=service_of(request).hub.running())


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    request: Request,
    last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,15}$")] = None,
    since: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
) -> StreamingResponse:
    """Server-sent events: `run` for each that arrives, `progress` of those under way.

    With `Last-Event-ID` (or `since`, the same number), the runs that came since are sent first.
    """
    service = service_of(request)
    stream = service.hub.listen(caller_key(request))
    missed = []
    seen = int(last_event_id) if last_event_id else since
    if seen is not None:
        try:
            missed = await to_thread.run_sync(service.arrivals, seen, 200)
        except BaseException:
            # Else a browser that comes back while the database is away would be counted every time.
            service.hub.let_go(stream)
            raise

    async def missed_and_new() -> AsyncIterator[str]:
        service.numbers.listeners.inc()
        try:
            for seq, run in missed:
                yield f"id: {seq}\nevent: run\ndata: {dumps(run)}\n\n"
            async for text in stream:
                yield text
        finally:
            service.numbers.listeners.dec()

    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(missed_and_new(), media_type="text/event-stream", headers=headers)
