"""How `olmes serve` without tokens knows the account that started it: by a secret of this start.

The server writes it, readable by that account alone, and every client of the same account on the
same machine sends it by itself. It lies in a folder of the account that `$OLMES_CACHE` does not move,
because a run with another cache reports to the same server.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import platform
import re
import secrets
from pathlib import Path
from urllib.parse import urlsplit

HEADER = "x-olmes-start-secret"
"""The request header that it travels in, and that no page of another site can set."""


def secret_file(port: int) -> Path:
    """Where the secret of the server at a port of this machine lies."""
    import platformdirs

    # A home folder may be that of several machines.
    machine = re.sub(r"[^A-Za-z0-9._-]", "_", platform.node()) or "machine"
    folder = Path(platformdirs.user_state_dir("olmes", appauthor=False))
    return folder / "servers" / f"{machine}-{port}"


def write_secret(port: int) -> str:
    """Make the secret of a server that starts, in the place of an earlier one's.

    Raises:
        OSError: the account's folder cannot be written.
    """
    path = secret_file(port)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = secrets.token_urlsafe(32)
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secret)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    return secret


def remove_secret(port: int, secret: str = "") -> None:
    """Remove a server's secret, and not the one that another server has written there since.

    Args:
        port: of the server.
        secret: what it wrote; '' for whatever an earlier server left.
    """
    path = secret_file(port)
    with contextlib.suppress(OSError, ValueError):
        if not secret or path.read_text("ascii") == secret:
            path.unlink()


def secret_of(url: str) -> str:
    """The secret for the server at an address; '' where it is not on this machine or has none."""
    with contextlib.suppress(OSError, ValueError):
        parts = urlsplit(url)
        if parts.scheme == "http" and is_this_machine(parts.hostname or ""):
            secret = secret_file(parts.port or 80).read_text("ascii").strip()
            return secret if re.fullmatch(r"[A-Za-z0-9_-]{20,100}", secret) else ""
    return ""


def is_this_machine(host: str) -> bool:
    """Whether a host's name is that of this machine as it reaches itself alone."""
    return host == "localhost" or is_loopback(host)


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
