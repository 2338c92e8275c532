"""The tables. Numbers in rows; `run.json` as it came; samples elsewhere (`artifacts`).

What a row holds as a type is in `olmes.server.store.table_rows`.

A change here needs a migration beside `migrations/versions/`; a test holds the two together.
"""

from __future__ import annotations

from typing import Any

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
    quoted_name,
    true,
)
from sqlalchemy.schema import SchemaItem

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


class Columns:
    """The columns of a table by their names, so that mypy knows those, and the `table` itself.

    A column is asked for of the one instance (`runs.seq`): SQLAlchemy's types allow it of no class.
    A column without `nullable=False` is annotated with the None that it can hold.
    """

    def __init__(self, name: str, *more: SchemaItem, **options: Any) -> None:
        columns = []
        for key, column in vars(type(self)).items():
            if isinstance(column, Column):
                column.name = column.key = quoted_name(key, None)
                columns.append(column)
        self.table = Table(name, metadata, *columns, *more, **options)


class State(Columns):
    """`generation`: counted up by every change of what readers see; its row serialises the writers."""

    name = Column(String(40), primary_key=True)
    value = Column(BigInteger, nullable=False)


state = State("state")


class Runs(Columns):
    """`data` is run.json as it came; `slim` is it in today's schema without what tables do not show.

    `unit` and `higher_is_better` are of the suite's mean. `limited` says over which items the numbers
    are, '' for all; `items` are those that were asked, `samples` the responses to them, `unscored`
    those of them without a score. `moment` is `created` in UTC and of one length, so that it sorts by
    time. `item_set` names the items of a limited run, '' for all; `lacking` says why one is incomplete.
    """

    seq = Column(Serial, primary_key=True, autoincrement=True)
    id = Column(String(200), nullable=False, unique=True)
    content_hash = Column(String(64), nullable=False, unique=True)
    created = Column(String(40), nullable=False)
    arrived = Column(String(40), nullable=False)
    uploaded_by = Column(String(100), nullable=False)
    complete = Column(Boolean, nullable=False)
    model = Column(String(500), nullable=False)
    fingerprint = Column(String(64), nullable=False)
    family = Column(String(500), nullable=False)
    step: Column[float | None] = Column(Float)
    suite = Column(String(200), nullable=False)
    value: Column[float | None] = Column(Float)
    stderr: Column[float | None] = Column(Float)
    ci_low: Column[float | None] = Column(Float)
    ci_high: Column[float | None] = Column(Float)
    held_out = Column(Boolean, nullable=False)
    opened = Column(Boolean, nullable=False)
    demo_data = Column(Boolean, nullable=False)
    samples = Column(BigInteger, nullable=False)
    data = Column(Text, nullable=False)
    slim = Column(Text, nullable=False)
    unit = Column(String(20), nullable=False, server_default="share")
    higher_is_better = Column(Boolean, nullable=False, server_default=true())
    standard = Column(Boolean, nullable=False, server_default=true())
    limited = Column(Text, nullable=False, server_default="")
    items = Column(BigInteger, nullable=False, server_default="0")
    moment = Column(String(40), nullable=False, server_default="")
    item_set = Column(String(16), nullable=False, server_default="")
    lacking = Column(Text, nullable=False, server_default="")
    unscored = Column(BigInteger, nullable=False, server_default="0")


runs = Runs(
    "runs",
    Index("ix_runs_moment_id", "moment", "id"),
    Index("ix_runs_fingerprint", "fingerprint"),
    Index("ix_runs_family_step", "family", "step"),
    Index("ix_runs_suite", "suite"),
    sqlite_autoincrement=True,
)


class Tasks(Columns):
    """`sha256` is of the file as it was uploaded; `artifact` is where its content is kept."""

    run = Column(Serial, ForeignKey("runs.seq", ondelete="CASCADE"), primary_key=True)
    task = Column(String(200), primary_key=True)
    place = Column(Integer, nullable=False)
    formulation_hash = Column(String(64), nullable=False)
    data_hash = Column(String(64), nullable=False)
    origin = Column(String(40), nullable=False)
    sealed = Column(Boolean, nullable=False)
    opened = Column(Boolean, nullable=False)
    sha256 = Column(String(64), nullable=False)
    rows = Column(BigInteger, nullable=False)
    artifact = Column(String(200), nullable=False)


tasks = Tasks("tasks", Index("ix_tasks_task", "task"))


class Metrics(Columns):
    """Every metric of every task; the primary one is what tables show."""

    run = Column(Serial, ForeignKey("runs.seq", ondelete="CASCADE"), primary_key=True)
    task = Column(String(200), primary_key=True)
    metric = Column(String(200), primary_key=True)
    is_primary = Column(Boolean, nullable=False)
    value: Column[float | None] = Column(Float)
    stderr: Column[float | None] = Column(Float)
    ci_low: Column[float | None] = Column(Float)
    ci_high: Column[float | None] = Column(Float)
    n = Column(BigInteger, nullable=False)
    unit = Column(String(20), nullable=False, server_default="share")
    higher_is_better = Column(Boolean, nullable=False, server_default=true())
    items: Column[int | None] = Column(BigInteger)
    unfinished_thinking = Column(Float, nullable=False, server_default="0")
    thought_marks = Column(Float, nullable=False, server_default="0")


metrics = Metrics("metrics")


class Uploads(Columns):
    """Uploads under way. How far each file is, its size in the staging folder says.

    `size` is that of all files, as the manifest says; `touched` is when bytes came last.
    """

    id = Column(String(32), primary_key=True)
    content_hash = Column(String(64), nullable=False)
    who = Column(String(100), nullable=False)
    replace = Column(Boolean, nullable=False)
    manifest = Column(Text, nullable=False)
    started = Column(String(40), nullable=False)
    size = Column(BigInteger, nullable=False, server_default="0")
    touched = Column(String(40), nullable=False, server_default="")


uploads = Uploads("uploads", UniqueConstraint("content_hash", "who"))


class FolderRuns(Columns):
    """What was last taken from a folder that is served: `source` is the SHA-256 of a run's path there.

    What became of it here since, by a removal or a replacement, is not undone by looking again.
    """

    source = Column(String(64), primary_key=True)
    content_hash = Column(String(64), nullable=False)


folder_runs = FolderRuns("folder_runs")


class Ledger(Columns):
    """Lines of the ledgers that came with runs; `chain` is the hash of a ledger's first line.

    A hash is over all lines before it, so that lines are a tree: where two have the same `previous`, a
    ledger was continued twice. `brought_by` is whose request a line came with first; '' and no
    `arrived` for lines of before that was noted.
    """

    hash = Column(String(64), primary_key=True)
    previous = Column(String(64), nullable=False)
    chain = Column(String(64), nullable=False)
    number = Column(Integer, nullable=False)
    event = Column(String(40), nullable=False)
    run = Column(String(200), nullable=False)
    time = Column(String(40), nullable=False)
    brought_by = Column(String(100), nullable=False)
    arrived = Column(String(40), nullable=False)
    entry = Column(Text, nullable=False)


ledger = Ledger(
    "ledger",
    Index("ix_ledger_run", "run"),
    Index("ix_ledger_chain_number", "chain", "number"),
    Index("ix_ledger_previous", "previous"),
)


class Tokens(Columns):
    """Who may come in: the SHA-256 of each token alone, a revoked one's too."""

    name = Column(String(100), primary_key=True)
    hash = Column(String(64), nullable=False, unique=True)
    role = Column(String(10), nullable=False)
    created = Column(String(40), nullable=False)
    revoked: Column[str | None] = Column(String(40))


tokens = Tokens("tokens")


class Audit(Columns):
    """Who changed what, and who was turned away."""

    seq = Column(Serial, primary_key=True, autoincrement=True)
    time = Column(String(40), nullable=False)
    who = Column(String(100), nullable=False)
    address = Column(String(100), nullable=False)
    action = Column(String(40), nullable=False)
    target = Column(String(300), nullable=False)
    detail = Column(Text, nullable=False)


audit = Audit("audit", sqlite_autoincrement=True)
