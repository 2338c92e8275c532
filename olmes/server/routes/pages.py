"""The pages, laid out so that the links of the static reports lead to each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from olmes.server.pages.server_pages import families_page
from olmes.server.refusals import RefusedError
from olmes.server.routes.page_answers import page_answer, pages_of
from olmes.server.routes.shapes import RunId, RunQuery, Text
from olmes.server.service import caller_key, service_of
from olmes.server.store.families import families

router = APIRouter(include_in_schema=False)
STATIC = {"live.js": "text/javascript", "server.css": "text/css"}
FOLDER = Path(__file__).parent.parent / "pages/static"


@router.get("/")
async def start() -> Response:
    """The leaderboard is where one starts."""
    return RedirectResponse("leaderboard.html", 307)


@router.get("/leaderboard.html")
async def leaderboard(request: Request) -> Response:
    """Runs ranked, and who differs beyond chance."""
    return page_answer(request, await pages_of(request).leaderboard(), behind="leaderboard")


@router.get("/runs/{run}/report.html")
async def run_page(request: Request, run: RunId) -> Response:
    """A run: its numbers and its samples."""
    return page_answer(request, await pages_of(request).run(run, caller_key(request)))


@router.get("/compare.html")
async def compare(
    request: Request,
    a: RunQuery,
    b: RunQuery,
    margin: Annotated[float, Query(ge=0, le=1)] = 0.01,
    force: bool = False,
) -> Response:
    """Two runs: why they differ, and by how much."""
    page = await pages_of(request).comparison(a, b, margin, force=force, who=caller_key(request))
    return page_answer(request, page)


@router.get("/checkpoints.html")
async def checkpoints(request: Request, family: Text = None) -> Response:
    """A training over its steps; without a name the list of trainings."""
    if family:
        page = await pages_of(request).checkpoints(family)
        return page_answer(request, page, behind=f"checkpoints {family}")
    found = await to_thread.run_sync(families, service_of(request).store.database)
    address = address_of(request)
    return page_answer(request, await to_thread.run_sync(families_page, found, address))


@router.get("/runs.html")
async def runs(
    request: Request,
    q: Text = None,
    suite: Text = None,
    model: Text = None,
    whole: bool = False,
    after: Annotated[str | None, Query(max_length=200, pattern=r"^[A-Za-z0-9_-]*$")] = None,
) -> Response:
    """Every run, the newest first."""
    address = address_of(request)
    asked = {"q": q, "suite": suite, "model": model, "whole": "yes" if whole else ""}
    return page_answer(request, await pages_of(request).runs(asked, after, address))


@router.get("/ledger.html")
async def ledger(request: Request) -> Response:
    """Every look at held-out tasks."""
    return page_answer(request, await pages_of(request).ledger(address_of(request)))


def address_of(request: Request) -> str:
    """The server's address as its caller names it."""
    return str(request.base_url).rstrip("/")


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """One of the server's two files."""
    if name not in STATIC:
        raise RefusedError(404, "there is no such file.")
    body = await to_thread.run_sync((FOLDER / name).read_bytes)
    return Response(body, media_type=STATIC[name], headers={"cache-control": "no-cache"})
