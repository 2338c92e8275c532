"""The tables. Numbers in rows; `run.json` as it came; samples elsewhere (`artifacts`).

What a row holds as a type is in `olmes.server.table_rows`.

A change here needs a migration beside `migrations/versions/`; a test holds the two together.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up only plain integers."""

state = Table(
    "state",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""`generation`: counted up by every change of what readers see; its row serialises the writers."""

runs = Table(
    "runs",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", String(200), nullable=False, unique=True),
    Column("content_hash", String(64), nullable=False, unique=True),
    Column("created", String(40), nullable=False),
    Column("arrived", String(40), nullable=False),
    Column("uploaded_by", String(100), nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("model", String(500), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("family", String(500), nullable=False),
    Column("step", Float),
    Column("suite", String(200), nullable=False),
    Column("value", Float),
    Column("stderr", Float),
    Column("ci_low", Float),
    Column("ci_high", Float),
    Column("held_out", Boolean, nullable=False),
    Column("opened", Boolean, nullable=False),
    Column("demo_data", Boolean, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    Column("slim", Text, nullable=False),
    Column("unit", String(20), nullable=False, server_default="share"),
    Column("higher_is_better", Boolean, nullable=False, server_default=true()),
    Index("ix_runs_created_seq", "created", "seq"),
    Index("ix_runs_fingerprint", "fingerprint"),
    Index("ix_runs_family_step", "family", "step"),
    Index("ix_runs_suite", "suite"),
    sqlite_autoincrement=True,
)
"""`data` is run.json as it came; `slim` is it in today's schema without what tables do not show.

`unit` and `higher_is_better` are of the suite's mean.
"""

tasks = Table(
    "tasks",
    metadata,
    Column("run", Serial, ForeignKey("runs.seq", ondelete="CASCADE"), primary_key=True),
    Column("task", String(200), primary_key=True),
    Column("place", Integer, nullable=False),
    Column("formulation_hash", String(64), nullable=False),
    Column("data_hash", String(64), nullable=False),
    Column("origin", String(40), nullable=False),
    Column("sealed", Boolean, nullable=False),
    Column("opened", Boolean, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("artifact", String(200), nullable=False),
    Index("ix_tasks_task", "task"),
)
"""`sha256` is of the file as it was uploaded; `artifact` is where its content is kept."""

metrics = Table(
    "metrics",
    metadata,
    Column("run", Serial, ForeignKey("runs.seq", ondelete="CASCADE"), primary_key=True),
    Column("task", String(200), primary_key=True),
    Column("metric", String(200), primary_key=True),
    Column("is_primary", Boolean, nullable=False),
    Column("value", Float),
    Column("stderr", Float),
    Column("ci_low", Float),
    Column("ci_high", Float),
    Column("n", BigInteger, nullable=False),
    Column("unit", String(20), nullable=False, server_default="share"),
    Column("higher_is_better", Boolean, nullable=False, server_default=true()),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("content_hash", String(64), nullable=False),
    Column("who", String(100), nullable=False),
    Column("replace", Boolean, nullable=False),
    Column("manifest", Text, nullable=False),
    Column("started", String(40), nullable=False),
    UniqueConstraint("content_hash", "who"),
)
"""Uploads under way. How far each file is, its size in the staging folder says."""

ledger = Table(
    "ledger",
    metadata,
    Column("chain", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("event", String(40), nullable=False),
    Column("run", String(200), nullable=False),
    Column("time", String(40), nullable=False),
    Column("entry", Text, nullable=False),
    Index("ix_ledger_run", "run"),
)
"""Lines of the ledgers that came with runs; `chain` is the hash of a ledger's first line."""

tokens = Table(
    "tokens",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("role", String(10), nullable=False),
    Column("created", String(40), nullable=False),
    Column("revoked", String(40)),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("time", String(40), nullable=False),
    Column("who", String(100), nullable=False),
    Column("address", String(100), nullable=False),
    Column("action", String(40), nullable=False),
    Column("target", String(300), nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)
