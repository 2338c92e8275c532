"""Bearer tokens: 256 random bits each, of which the store keeps the SHA-256 alone.

A slow hash would protect words that people choose; nobody finds 256 random bits by trying.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from olmes.errors import OlmesError
from olmes.server.access.audit import LOCAL, write_audit
from olmes.server.store.database import Database, now
from olmes.server.store.schema import tokens
from olmes.server.store.table_rows import TokenRow

ROLES = ("read", "write", "admin")
"""Each may what the ones before it may."""
PREFIX = "olmes_"


@dataclass(frozen=True, slots=True)
class Known:
    """A token that is not revoked."""

    name: str
    role: str


def token_hash(token: str) -> str:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def create_token(database: Database, name: str, role: str) -> str:
    """Make a token; it is shown this once.

    Raises:
        OlmesError: the name is taken or no name, or that of whoever runs the server (`local`).
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}", name) or name == LOCAL.name:
        raise OlmesError(
            f"{name!r} cannot name a token; use letters, digits, dots and dashes, and not "
            f"{LOCAL.name!r}, which is whoever runs the server."
        )
    token = PREFIX + secrets.token_urlsafe(32)
    try:
        with database.writing() as connection:
            connection.execute(
                insert(tokens.table).values(
                    {
                        tokens.name: name,
                        tokens.hash: token_hash(token),
                        tokens.role: role,
                        tokens.created: now(),
                    }
                )
            )
            write_audit(connection, LOCAL, "token created", name, role)
    except IntegrityError:
        raise OlmesError(
            f"there is or was a token {name}; choose another name, so that the audit log stays clear."
        ) from None
    return token


def revoke_token(database: Database, name: str) -> None:
    """Make a token worthless.

    Raises:
        OlmesError: there is no such token.
    """
    with database.writing() as connection:
        done = connection.execute(
            update(tokens.table)
            .where(tokens.name == name, tokens.revoked.is_(None))
            .values({tokens.revoked: now()})
        )
        if not done.rowcount:
            raise OlmesError(f"there is no token {name} to revoke; see `olmes token list`.")
        write_audit(connection, LOCAL, "token revoked", name)


def list_tokens(database: Database) -> list[TokenRow]:
    """Every token there is or was, without its hash."""
    with database.reading() as connection:
        rows = connection.execute(
            select(tokens.name, tokens.role, tokens.created, tokens.revoked).order_by(
                tokens.created, tokens.name
            )
        )
        return [TokenRow(**row._mapping) for row in rows]


def find_token(database: Database, token: str) -> Known | None:
    """The token that this text is, unless it is revoked or unknown."""
    with database.reading() as connection:
        row = connection.execute(
            select(tokens.name, tokens.role).where(
                tokens.hash == token_hash(token), tokens.revoked.is_(None)
            )
        ).first()
    return Known(*row) if row else None


def valid_tokens(database: Database) -> tuple[dict[str, Known], bool]:
    """Every token that is not revoked, by its hash; and whether one was ever made."""
    with database.reading() as connection:
        rows = connection.execute(
            select(tokens.hash, tokens.name, tokens.role, tokens.revoked)
        ).all()
    valid = {row.hash: Known(row.name, row.role) for row in rows if row.revoked is None}
    return valid, bool(rows)


def any_token(database: Database) -> bool:
    """Whether a token was ever made: from then on nobody is let in without one.

    Revoking the last one does not open the door again.
    """
    with database.reading() as connection:
        count = connection.execute(select(func.count()).select_from(tokens.table)).scalar()
    return bool(count)
