"""Who changed what, and who was turned away."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert

from olmes.server.store import schema
from olmes.server.store.database import now


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a token's name (`local` on a server without tokens), its role, and from where."""

    name: str
    role: str
    address: str


LOCAL = Caller("local", "admin", "this machine")
"""The command line and the folder that is served: whoever may write to the store's files."""


def write_audit(
    connection: Connection, caller: Caller, action: str, target: str, detail: str = ""
) -> None:
    """Add a line, in the transaction that does what it says."""
    line = schema.audit
    connection.execute(
        insert(line.table).values(
            {
                line.time: now(),
                line.who: caller.name[:100],
                line.address: caller.address[:100],
                line.action: action,
                line.target: target[:300].replace("\x00", ""),
                line.detail: detail[:2000].replace("\x00", ""),
            }
        )
    )
