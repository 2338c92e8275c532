"""For whoever runs the server: is it well, what does it do, who did what."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from olmes.client.types import AuditLog, Health
from olmes.errors import OlmesError
from olmes.records.schema import LARGEST
from olmes.server.json_response import JsonRoute
from olmes.server.observe import log
from olmes.server.routes.shapes import ERRORS, Error, Limit
from olmes.server.service import service_of

router = APIRouter(tags=["operations"], route_class=JsonRoute)
AWAY: dict[str, Any] = {"model": Error, "description": "The database does not answer."}


@router.get("/healthz", responses={503: AWAY})
async def health(request: Request) -> Health:
    """Whether the server answers and its database does; open to everybody.

    `degraded` while a task beside the requests fails: `failing` names it, and the log says why.
    """
    return await service_of(request).health.answer()


@router.get("/metrics", response_class=Response, responses=ERRORS)
def metrics(request: Request) -> Response:
    """Numbers for Prometheus; those of the store are of the time before where it does not answer."""
    service = service_of(request)
    try:
        runs, samples = service.store.count_runs()
    except (SQLAlchemyError, OlmesError):
        log.warning("the runs could not be counted")
    else:
        service.numbers.runs.set(runs)
        service.numbers.samples.set(samples)
    return Response(
        generate_latest(service.numbers.registry), headers={"content-type": CONTENT_TYPE_LATEST}
    )


@router.get("/api/v1/audit", responses=ERRORS)
def audit(
    request: Request,
    before: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
    limit: Limit = 100,
) -> AuditLog:
    """The audit log, newest first; needs the role admin."""
    entries = service_of(request).store.audit_entries(limit=limit, before=before)
    following = entries[-1]["seq"] if len(entries) == limit else None
    return AuditLog(entries=entries, next=following)
