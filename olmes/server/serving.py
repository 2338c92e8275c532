"""Running the server: the address it listens at, and an end that leaves nothing half done."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from olmes.errors import OlmesError
from olmes.server.access.guard import Rates, is_loopback
from olmes.server.access.tokens import any_token
from olmes.server.app import create_app
from olmes.server.connections import Listener, limits
from olmes.server.observe import configure_log
from olmes.server.settings import Settings
from olmes.server.store.database import Database

GRACE = 60
"""Seconds that requests under way may take when the server is asked to end."""


class Server(uvicorn.Server):
    """Ends its event streams when it is asked to end; they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end."""
        self.on_exit()
        super().handle_exit(sig, frame)


def check_host(settings: Settings, host: str) -> None:
    """Refuse an address that others reach while the store has no token.

    Raises:
        OlmesError: there is none.
    """
    if host == "localhost" or is_loopback(host):
        return
    database = Database(settings.store)
    try:
        database.migrate()
        if not any_token(database):
            raise OlmesError(
                f"{host} can be reached by others, and the store has no token; make one first: "
                f"`olmes token create NAME --role admin --store {settings.store}`."
            )
    finally:
        database.close()


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    rates: Rates,
    folder: str,
    quiet: bool,
    say: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        OlmesError: the store cannot be opened, or the address cannot be used.
    """
    check_host(settings, host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = Listener(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise OlmesError(
            f"{host}:{port} cannot be used ({error.strerror}); name another with --port."
        ) from None
    listener.listen()
    configure_log(quiet=quiet)
    app = create_app(settings, rates=rates, folder=folder)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
        **limits(),
    )
    shown = f"[{host}]" if ":" in host else host
    say(f"http://{shown}:{listener.getsockname()[1]}")
    # uvicorn ends in order and then passes the signal on; an end that was asked for is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    Server(config, app.state.service.hub.close).run(sockets=[listener])
