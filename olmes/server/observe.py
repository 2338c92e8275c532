"""What an operator sees: a JSON line a request on standard error, and numbers for Prometheus."""

from __future__ import annotations

import json
import logging
import sys
import time
import uuid
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from olmes.types import JsonObject

log = logging.getLogger("olmes.server")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 10, 60)


class ServerMetrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "olmes_requests", "Requests.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "olmes_request_seconds", "Seconds until the first byte of an answer.", ("route",),
            buckets=BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.uploaded = Counter("olmes_uploads", "Uploads.", ("outcome",), registry=self.registry)
        self.bytes = Counter("olmes_upload_bytes", "Bytes taken in.", registry=self.registry)
        self.failures = Counter(
            "olmes_background_failures", "Failures of background tasks.", ("task",),
            registry=self.registry,
        )  # fmt: skip
        self.listeners = Gauge("olmes_listeners", "Open event streams.", registry=self.registry)
        self.runs = Gauge("olmes_runs", "Runs in the store.", registry=self.registry)
        self.samples = Gauge("olmes_samples", "Samples in the store.", registry=self.registry)


class Observe:
    """The ASGI application, counted, timed and logged. A query is not logged: it may hold words."""

    def __init__(self, app: ASGIApp, numbers: ServerMetrics) -> None:
        self.app = app
        self.numbers = numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note what came of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0
        first = 0.0

        async def noted(message: Message) -> None:
            nonlocal status, first
            if message["type"] == "http.response.start":
                status, first = message["status"], time.perf_counter() - started
                message["headers"] = [*message["headers"], (b"x-request-id", request.encode())]
            await send(message)

        request = uuid.uuid4().hex[:12]
        try:
            await self.app(scope, receive, noted)
        except Exception:
            status = 500
            log.exception("internal error", extra={"facts": {"request": request}})
            raise
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.numbers.requests.labels(scope["method"], route, str(status)).inc()
            self.numbers.seconds.labels(route).observe(first)
            caller = scope.get("state", {}).get("caller")
            facts = {
                "request": request,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(1000 * (time.perf_counter() - started), 1),
                "who": caller.name if caller else "",
                "address": scope["client"][0] if scope.get("client") else "",
            }
            log.info("request", extra={"facts": facts})


class JsonLines(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: JsonObject = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_log(*, quiet: bool) -> None:
    """Send the log to standard error, a JSON line each; requests only when not `quiet`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("olmes.server", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.WARNING if quiet else logging.INFO)
