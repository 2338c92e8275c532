"""The application: routes behind the guard, behind what observes them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from olmes import __version__
from olmes.errors import OlmesError
from olmes.server.access.guard import Guard, Rates
from olmes.server.access.pending import Pending
from olmes.server.access.proxies import BehindProxies, Network
from olmes.server.access.token_book import TokenBook
from olmes.server.failures import Failures, answer_to
from olmes.server.folder import INTERVAL, FolderIndex
from olmes.server.head import HeadAsGet
from olmes.server.observe import Observe, log
from olmes.server.pages.newest import RETRIED
from olmes.server.pages.page_cache import PageCache
from olmes.server.refusal_response import refusal
from olmes.server.refusals import RefusedError
from olmes.server.routes import boards, live, operations, runs, uploads
from olmes.server.routes import pages as page_routes
from olmes.server.service import Service
from olmes.server.settings import Settings
from olmes.server.store.damage import DamagedStoreError
from olmes.types import JsonObject

DEFAULT_RATES = Rates()
NOT_JSON = (
    "body: is not JSON in UTF-8, or is nested too deeply, or holds a number of too many digits."
)
THREADS = 16
"""Requests that read the database or samples at the same time."""


def create_app(
    settings: Settings,
    *,
    rates: Rates = DEFAULT_RATES,
    folder: str = "",
    secret: str = "",
    proxies: tuple[Network, ...] = (),
) -> FastAPI:
    """The server of a store.

    Args:
        settings: of the store; its schema is brought to the newest.
        rates: requests a caller may make.
        folder: of runs that are indexed and watched; '' for none.
        secret: what proves the account that runs the server, while there are no tokens; '' for nothing.
        proxies: whose word is taken for who asks.

    Raises:
        OlmesError: the store cannot be opened.
    """
    service = Service(settings)
    service.store.database.migrate()
    pending = Pending(TokenBook(service.store.database))
    service.last_announced = service.store.newest_seq()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        log.info("started")
        try:
            async with anyio.create_task_group() as group:
                service.start(group)
                pages: PageCache = app.state.pages
                background = service.background
                background.start(group, "pages", pages.warm, every=0)
                background.start(group, "boards", pages.boards.retry, every=RETRIED)
                background.start(group, "tokens", pending.end_revoked, every=pending.interval)
                background.start(
                    group, "uploads", service.sweep_uploads, every=service.uploads.pause
                )
                if folder:
                    index = FolderIndex(service, folder)
                    background.start(group, "folder", index.once, every=INTERVAL)
                yield
                group.cancel_scope.cancel()
        finally:
            service.close()
        log.info("ended")

    app = FastAPI(
        title="olmes results server",
        version=__version__,
        description="Every run of a team in one place. Errors are `{error: {field, message}}`.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.pages = PageCache(service)
    for module in (uploads, runs, boards, live, operations, page_routes):
        app.include_router(module.router)
    add_handlers(app, settings.work_folder)
    app.add_middleware(HeadAsGet)
    app.add_middleware(
        Guard, database=service.store.database, pending=pending, rates=rates, secret=secret
    )
    app.add_middleware(Failures, folder=settings.work_folder)
    app.add_middleware(Observe, numbers=service.numbers)
    app.add_middleware(BehindProxies, networks=proxies)
    describe_tokens(app)
    return app


def add_handlers(app: FastAPI, folder: Path) -> None:
    """Give every failure the same form; `folder` is that of the server's work."""

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:  # noqa: ARG001
        return refusal(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:  # noqa: ARG001
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return refusal(RefusedError(422, NOT_JSON, "body"))
        # The first part says where it was looked for: body, query, path.
        field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return refusal(RefusedError(422, f"{field}: {first['msg']}.", field))

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:  # noqa: ARG001
        if error.status_code == 400 and isinstance(error.__cause__, (ValueError, RecursionError)):
            return refusal(RefusedError(400, NOT_JSON, "body"), error.headers)
        return refusal(RefusedError(error.status_code, str(error.detail)), error.headers)

    @app.exception_handler(OlmesError)
    async def refused_by_olmes(request: Request, error: OlmesError) -> Response:  # noqa: ARG001
        return refusal(RefusedError(422, str(error)))

    async def failure(request: Request, error: Exception) -> Response:  # noqa: ARG001
        if (said := answer_to(error, folder)) is None:
            raise error
        return refusal(said)

    for kind in (DamagedStoreError, DBAPIError, PoolTimeoutError, OSError, MemoryError):
        app.add_exception_handler(kind, failure)


def describe_tokens(app: FastAPI) -> None:
    """Say in the OpenAPI document that a bearer token may be needed."""
    made = app.openapi

    def openapi() -> JsonObject:
        document = made()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer"}
        document["security"] = [{"token": []}, {}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]
