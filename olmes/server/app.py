"""The application: routes behind the guard, behind what observes them."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import AsyncIterator

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from olmes import __version__
from olmes.errors import OlmesError
from olmes.server.access.guard import Guard, Rates
from olmes.server.folder import INTERVAL, FolderIndex
from olmes.server.observe import Observe, log
from olmes.server.pages.page_cache import PageCache
from olmes.server.refusal_response import refusal
from olmes.server.refusals import RefusedError
from olmes.server.routes import boards, live, operations, pages, runs, uploads
from olmes.server.service import Service
from olmes.server.settings import Settings
from olmes.tools.places import FULL, hidden_code
from olmes.types import JsonObject

DEFAULT_RATES = Rates()
NOT_JSON = (
    "body: is not JSON in UTF-8, or is nested too deeply, or holds a number of too many digits."
)
THREADS = 16
"""Requests that read the database or samples at the same time."""


def create_app(settings: Settings, *, rates: Rates = DEFAULT_RATES, folder: str = "") -> FastAPI:
    """The server of a store.

    Args:
        settings: of the store; its schema is brought to the newest.
        rates: requests a caller may make.
        folder: of runs that are indexed and watched; '' for none.

    Raises:
        OlmesError: the store cannot be opened.
    """
    service = Service(settings)
    service.store.database.migrate()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        swept = service.uploads.sweep()
        service.last_announced = service.store.newest_seq()
        log.info("started", extra={"facts": {"swept": swept}})
        async with anyio.create_task_group() as group:
            group.start_soon(service.tidy)
            group.start_soon(app.state.pages.warm)
            if folder:
                index = FolderIndex(service, folder)
                service.background.start(group, "folder", index.once, every=INTERVAL)
            yield
            group.cancel_scope.cancel()
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
    for module in (uploads, runs, boards, live, operations, pages):
        app.include_router(module.router)
    add_handlers(app)
    app.add_middleware(Guard, database=service.store.database, rates=rates)
    app.add_middleware(Observe, numbers=service.numbers)
    describe_tokens(app)
    return app


def add_handlers(app: FastAPI) -> None:
    """Give every failure the same form."""

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

    @app.exception_handler(OperationalError)
    async def database(request: Request, error: OperationalError) -> Response:  # noqa: ARG001
        if hidden_code(error.orig) in FULL:
            return refusal(full(error))
        log.error("the database does not answer", extra={"facts": {"error": str(error.orig)}})
        return refusal(RefusedError(503, "the database does not answer; try again."))

    @app.exception_handler(OSError)
    async def machine(request: Request, error: OSError) -> Response:  # noqa: ARG001
        if error.errno in FULL:
            return refusal(full(error))
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise error
        log.error("the store cannot be written", extra={"facts": {"error": str(error)}})
        return refusal(
            RefusedError(503, "the server may not write into its store; tell who runs it.")
        )


def full(error: Exception) -> RefusedError:
    """What a client is answered when the server's disk is full."""
    log.error("the server's disk is full", extra={"facts": {"error": str(error)}})
    return RefusedError(507, "the server's disk is full; make room there and send it again.")


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
