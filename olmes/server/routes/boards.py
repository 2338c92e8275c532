"""What is made of many runs: leaderboard, comparison, checkpoints, ledger."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from olmes.client.types import (
    Checkpoints,
    CheckpointScore,
    Families,
    KnownLine,
    Leaderboard,
    LedgerLines,
)
from olmes.server.json_response import JsonRoute
from olmes.server.routes.page_answers import page_answer, pages_of
from olmes.server.routes.shapes import ERRORS, RunQuery
from olmes.server.service import caller_key, service_of
from olmes.server.store.families import families as stored_families
from olmes.server.store.families import whole
from olmes.server.store.look_counts import back_in_time
from olmes.server.store.store import RunFilter
from olmes.types import JsonObject

router = APIRouter(prefix="/api/v1", tags=["results"], responses=ERRORS, route_class=JsonRoute)
JSON = "application/json"
Margin = Annotated[float, Query(ge=0, le=1, description="Half-width within which scores tie.")]
FamilyName = Annotated[str, Query(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


@router.get("/leaderboard", response_model=Leaderboard)
async def leaderboard(request: Request) -> Response:
    """Runs ranked beside runs of the same thing, with who differs beyond chance, and the others."""
    page = await pages_of(request).leaderboard_numbers()
    return page_answer(request, page, JSON, behind="leaderboard.json")


@router.get("/compare", response_model=JsonObject)
async def compare(
    request: Request, a: RunQuery, b: RunQuery, margin: Margin = 0.01, force: bool = False
) -> Response:
    """Run `b`, the candidate, held against run `a`, as `olmes compare` does it."""
    page = await pages_of(request).comparison_numbers(
        a, b, margin, force=force, who=caller_key(request)
    )
    return page_answer(request, page, JSON)


@router.get("/checkpoints")
def checkpoints(request: Request, family: FamilyName) -> Checkpoints:
    """The runs of a training that say their step, by step, with their primary metrics."""
    store = service_of(request).store
    rows = store.find_runs(RunFilter(family=family), limit=10_000, before=None, by="created")
    steps = [(row.step, row) for row in rows if row.step is not None]
    numbers = store.primaries([row.seq for _, row in steps])
    return Checkpoints(
        family=family,
        checkpoints=[
            CheckpointScore(
                step=whole(step),
                run=row.id,
                created=row.created,
                suite=row.suite,
                held_out=row.held_out,
                value=row.value,
                stderr=row.stderr,
                ci_low=row.ci_low,
                ci_high=row.ci_high,
                unit=row.unit,
                higher_is_better=row.higher_is_better,
                tasks=numbers[row.seq],
            )
            for step, row in sorted(steps, key=lambda pair: pair[0])
        ],
    )


@router.get("/families")
def families(request: Request) -> Families:
    """Trainings that have checkpoints here."""
    return Families(families=stored_families(service_of(request).store.database))


@router.get("/ledger")
def ledger(request: Request) -> LedgerLines:
    """Every line of the ledgers that came with runs: who looked at held-out tasks, when and why."""
    ledgers = service_of(request).store.ledgers
    lines = ledgers.lines()
    before, back = ledgers.looks_before(), back_in_time(lines)
    return LedgerLines(
        entries=[line.entry for line in lines],
        known=[
            KnownLine(
                hash=line.hash,
                chain=line.chain,
                brought_by=line.brought_by,
                arrived=line.arrived,
                parts=line.parts,
                back_in_time=line.hash in back,
                looks_before=before.get(line.hash),
            )
            for line in lines
        ],
    )
