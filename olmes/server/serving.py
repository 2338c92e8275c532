"""Running the server: the address it listens at, and an end that leaves nothing half done."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn

from olmes.client.start_secret import is_this_machine, remove_secret, secret_file, write_secret
from olmes.errors import OlmesError
from olmes.server.access.guard import Rates
from olmes.server.access.proxies import networks_of
from olmes.server.access.tokens import any_token
from olmes.server.app import create_app
from olmes.server.connections import Listener, limits
from olmes.server.observe import configure_log
from olmes.server.settings import Settings
from olmes.server.store.database import Database
from olmes.server.store.private import umask_in

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


def check_host(settings: Settings, host: str, *, proxied: bool = False) -> bool:
    """Refuse an address that others reach while the store has no token.

    Args:
        settings: of the store.
        host: where the server will listen.
        proxied: whether named proxies bring requests of others.

    Returns:
        Whether there is a token.

    Raises:
        OlmesError: there is none, and others reach it.
    """
    database = Database(settings.store)
    try:
        database.migrate()
        if any_token(database):
            return True
    finally:
        database.close()
    if proxied or not is_this_machine(host):
        reached = "what a named proxy passes on" if proxied else host
        # A URL may hold a password, which has no place on a screen or in a list of processes.
        store = "in $OLMES_STORE" if "://" in settings.store else f"--store {settings.store}"
        raise OlmesError(
            f"{reached} can be reached by others, and the store has no token; make one first: "
            f"`olmes token create NAME --role admin`, with the same store ({store})."
        )
    return False


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    rates: Rates,
    folder: str,
    quiet: bool,
    say: Callable[[str], None],
    proxies: Sequence[str] = (),
) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        OlmesError: the store cannot be opened, or the address cannot be used.
    """
    networks = networks_of(proxies)
    locked = check_host(settings, host, proxied=bool(networks))
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
    bound = listener.getsockname()[1]
    remove_secret(bound)  # what a killed server left
    notes: list[str] = []
    secret = "" if locked else start_secret(bound, notes.append)
    # Whatever a library writes into the store is for nobody else either.
    os.umask(umask_in(settings.work_folder))
    app = create_app(settings, rates=rates, folder=folder, secret=secret, proxies=networks)
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
    for line in (f"http://{shown}:{bound}", *notes):
        say(line)
    # uvicorn ends in order and then passes the signal on; an end that was asked for is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        Server(config, app.state.service.hub.close).run(sockets=[listener])
    finally:
        remove_secret(bound, secret)


def start_secret(port: int, say: Callable[[str], None]) -> str:
    """The secret by which this account's clients are known; '' where it cannot be kept."""
    try:
        return write_secret(port)
    except OSError as error:
        say(
            f"read-only: {secret_file(port).parent} cannot be written ({error.strerror}), so nobody "
            "can prove to be who started the server; for uploads make tokens with `olmes token create`."
        )
        return ""
