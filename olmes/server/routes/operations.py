"""For whoever runs the server: is it well, what does it do, who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from olmes import __version__
from olmes.client.types import AuditLog, Health
from olmes.records.schema import LARGEST
from olmes.server.json_response import JsonRoute
from olmes.server.routes.shapes import ERRORS, Limit
from olmes.server.service import service_of

router = APIRouter(tags=["operations"], route_class=JsonRoute)


@router.get("/healthz")
def health(request: Request) -> Health:
    """Whether the server answers and its database does; open to everybody."""
    service_of(request).store.generation()
    return Health(status="ok", version=__version__)


@router.get("/metrics", response_class=Response, responses=ERRORS)
def metrics(request: Request) -> Response:
    """Numbers for Prometheus."""
    service = service_of(request)
    runs, samples = service.store.count_runs()
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
