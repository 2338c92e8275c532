"""What is made of many runs: leaderboard, comparison, checkpoints, ledger."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from olmes.server import rendering
from olmes.server.routes.shapes import ERRORS, RunQuery
from olmes.server.service import service_of
from olmes.server.store import RunFilter

router = APIRouter(prefix="/api/v1", tags=["results"], responses=ERRORS)
Margin = Annotated[float, Query(ge=0, le=1, description="Half-width within which scores tie.")]
Family = Annotated[str, Query(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


@router.get("/leaderboard")
async def leaderboard(request: Request) -> dict[str, Any]:
    """Runs ranked beside runs of the same thing, with who differs beyond chance, and the others."""
    settings = service_of(request).settings
    pages = request.app.state.pages
    found: dict[str, Any] = await pages.newest(
        "leaderboard.json", lambda: pages.work(rendering.board_numbers, settings)
    )
    return found


@router.get("/compare")
async def compare(
    request: Request, a: RunQuery, b: RunQuery, margin: Margin = 0.01, force: bool = False
) -> dict[str, Any]:
    """Run `b`, the candidate, held against run `a`, as `olmes compare` does it."""
    settings = service_of(request).settings
    pages = request.app.state.pages
    key = await pages.comparison_key("json", a, b, margin, force)

    async def make() -> Any:
        return await pages.work(
            rendering.comparison_numbers, settings, (a, b), margin=margin, force=force
        )

    found: dict[str, Any] = await pages.newest(key, make)
    return found


@router.get("/checkpoints")
def checkpoints(request: Request, family: Family) -> dict[str, Any]:
    """The runs of a training that say their step, by step, with their primary metrics."""
    store = service_of(request).store
    rows = store.find_runs(RunFilter(family=family), limit=10_000, before=None, by="created")
    rows = [row for row in rows if row["step"] is not None]
    numbers = store.primaries([row["seq"] for row in rows])
    return {
        "family": family,
        "checkpoints": [
            {
                "step": row["step"],
                "run": row["id"],
                "created": row["created"],
                "suite": row["suite"],
                "held_out": row["held_out"],
                "value": row["value"],
                "stderr": row["stderr"],
                "tasks": numbers[row["seq"]],
            }
            for row in sorted(rows, key=lambda row: row["step"])
        ],
    }


@router.get("/families")
def families(request: Request) -> dict[str, Any]:
    """Trainings that have checkpoints here."""
    return {"families": service_of(request).store.families()}


@router.get("/ledger")
def ledger(request: Request) -> dict[str, Any]:
    """Every line of the ledgers that came with runs: who looked at held-out tasks, when and why."""
    return {"entries": service_of(request).store.ledger_entries()}
