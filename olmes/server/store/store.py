"""What the server knows: runs and their numbers in the database, samples in the artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
)

from olmes.client.types import AuditEntry, Primary
from olmes.records.check import FieldError, run_record
from olmes.records.schema import LARGEST, RunRecord
from olmes.seal.ledger import Entry
from olmes.server.access.audit import Caller, write_audit
from olmes.server.intake.run_files import Intake
from olmes.server.observe import log
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.server.store.artifacts import Artifacts, sealed_name
from olmes.server.store.cursors import Order, Place
from olmes.server.store.database import Database, now
from olmes.server.store.kept_ledgers import Ledgers, keep_ledger, noting_refusals
from olmes.server.store.openings import ROWS
from olmes.server.store.replacement import (
    check_replacement,
    may_replace,
    note_taken,
    put_again,
    standing,
    taken_from,
)
from olmes.server.store.schema import audit, metrics, runs, state, tasks, uploads
from olmes.server.store.table_rows import MetricColumns, RunRow, TaskColumns, columns_of
from olmes.tools.visible_text import unfit_name

SUMMARY = tuple(
    column for column in runs.table.c if column.name not in (runs.data.name, runs.slim.name)
)
TASK = tuple(column for column in tasks.table.c if column.name != tasks.run.name)
METRIC = tuple(column for column in metrics.table.c if column.name != metrics.run.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlimRun:
    """A run and its record without what no table of many runs shows."""

    seq: int
    run: RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs are asked for; None is any."""

    model: str | None = None
    fingerprint: str | None = None
    family: str | None = None
    suite: str | None = None
    task: str | None = None
    complete: bool | None = None
    held_out: bool | None = None
    demo_data: bool | None = None
    standard: bool | None = None
    limited: bool | None = None
    words: str = ""
    """Part of the run's or the model's name."""


class Store:
    """A store: every question and every change."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.store)
        self.artifacts = Artifacts(settings.artifacts_place)
        self.ledgers = Ledgers(self.database)

    def generation(self) -> int:
        """A number that changes with every change of what readers see."""
        with self.database.reading() as connection:
            found = connection.execute(
                select(state.value).where(state.name == "generation")
            ).scalar_one()
        return int(found)

    # --- Changes -----------------------------------------------------------------------------

    def add(
        self, intake: Intake, caller: Caller, *, replace: bool, upload: str = "", source: str = ""
    ) -> bool:
        """Make a run visible, all of it at once.

        Args:
            intake: from `take_in`.
            caller: who uploads it.
            replace: whether it takes the place of a run of the same name (`check_replacement`).
            upload: what it came by, which is over then.
            source: of the served folder it lies in. What was taken from there before is not taken
                again, whatever became of it here; what is new there replaces only what was.

        Returns:
            False if the same content was here before.

        Raises:
            RefusedError: another run has its name, or the ledger does not go with the one here.
        """
        with noting_refusals(self.database, caller), self.database.publishing() as connection:
            if upload:
                connection.execute(delete(uploads.table).where(uploads.id == upload))
            taken = taken_from(connection, source) if source else ""
            same = runs.content_hash == intake.content_hash
            present = connection.execute(select(runs.seq).where(same)).scalar()
            if intake.ledger:
                # That the run's look is in it was checked; one that is here has its owner.
                own = intake.run.held_out and present is None
                keep_ledger(connection, intake.ledger, caller, own=own)
            if present is not None:
                put_again(connection, present, intake.tasks)
            if source:
                note_taken(connection, source, intake.content_hash)
            if present is not None or taken == intake.content_hash:
                return False
            if old := standing(connection, intake.run.id):
                may = bool(taken) if source else may_replace(old, caller)
                check_replacement(old, intake, may=may, replace=replace)
                connection.execute(delete(runs.table).where(runs.seq == old.seq))
            seq = connection.execute(
                insert(runs.table)
                .values(columns_of(intake.run))
                .values(
                    {
                        runs.content_hash: intake.content_hash,
                        runs.arrived: now(),
                        runs.uploaded_by: caller.name,
                    }
                )
                .returning(runs.seq)
            ).scalar_one()
            for rows, target in ((intake.tasks, tasks.table), (intake.metrics, metrics.table)):
                if rows:
                    connection.execute(
                        insert(target), [columns_of(row) | {"run": seq} for row in rows]
                    )
            action, detail = "run added", intake.content_hash
            if old:
                action = "run replaced"
                detail += f" in the place of {old.content_hash}, uploaded by {old.owner}"
            write_audit(connection, caller, action, intake.run.id, detail)
        return True

    def remove(self, run: str, caller: Caller) -> None:
        """Take a run out.

        Raises:
            RefusedError: there is none of this name, or it was a look at held-out tasks.
        """
        with self.database.publishing() as connection:
            found = connection.execute(
                select(runs.seq, runs.held_out).where(runs.id == run)
            ).first()
            if found is None:
                raise no_run(run)
            seq, held_out = found
            if held_out:
                raise RefusedError(409, f"{run} was a look at held-out tasks; it stays.", "id")
            connection.execute(delete(runs.table).where(runs.seq == seq))
            write_audit(connection, caller, "run removed", run)

    def sweep(self) -> int:
        """Remove the samples of runs that were removed or replaced; how many files they were."""
        return self.artifacts.sweep(self.artifact_names(), self.settings.limits.artifact_age)

    def taken_from(self, source: str) -> str:
        """The content hash of what was last taken from a folder; '' for nothing."""
        with self.database.reading() as connection:
            return taken_from(connection, source)

    # --- Questions ---------------------------------------------------------------------------

    def artifact_names(self) -> set[str]:
        """Every artifact that a run names, with the sealed files of opened ones."""
        sealed = select(tasks.sha256).where(tasks.sealed)
        with self.database.reading() as connection:
            named = set(connection.execute(select(tasks.artifact)).scalars())
            return named | {sealed_name(sha) for sha in connection.execute(sealed).scalars()}

    def find_runs(
        self,
        wanted: RunFilter,
        *,
        limit: int,
        before: Place | None,
        by: Order,
    ) -> list[RunRow]:
        """Runs, the newest first; of those of one moment the last by name.

        Args:
            wanted: which.
            limit: how many at most.
            before: the place of the last one seen (`place_of`).
            by: `created`, the time that they say themselves, or `arrived`.
        """
        query = select(*SUMMARY).where(*conditions(wanted))
        if by == "created":
            query = query.order_by(runs.moment.desc(), runs.id.desc())
            if before:
                query = query.where(tuple_(runs.moment, runs.id) < tuple_(*before))
        else:
            query = query.order_by(runs.seq.desc())
            if before:
                query = query.where(runs.seq < before[1])
        with self.database.reading() as connection:
            return [RunRow(**row._mapping) for row in connection.execute(query.limit(limit))]

    def runs_since(self, seq: int, limit: int = 1000) -> list[RunRow]:
        """Runs that came after another, in the order in which they came."""
        query = select(*SUMMARY).where(runs.seq > seq).order_by(runs.seq).limit(limit)
        with self.database.reading() as connection:
            return [RunRow(**row._mapping) for row in connection.execute(query)]

    def newest_seq(self) -> int:
        """The number of the run that came last; 0 where there is none."""
        with self.database.reading() as connection:
            found = connection.execute(select(func.max(runs.seq))).scalar()
        return int(found or 0)

    def count_runs(self) -> tuple[int, int]:
        """Runs and samples."""
        with self.database.reading() as connection:
            row = connection.execute(
                select(func.count(), func.coalesce(func.sum(runs.samples), 0)).select_from(
                    runs.table
                )
            ).one()
        return int(row[0]), int(row[1])

    def run_row(self, run: str) -> RunRow:
        """The row of a run.

        Raises:
            RefusedError: there is none of this name.
        """
        with self.database.reading() as connection:
            row = connection.execute(select(*SUMMARY).where(runs.id == run)).first()
        if row is None:
            raise no_run(run)
        return RunRow(**row._mapping)

    def run_text(self, run: str) -> str:
        """`run.json` of a run, as it was uploaded.

        Raises:
            RefusedError: there is none of this name.
        """
        with self.database.reading() as connection:
            text = connection.execute(select(runs.data).where(runs.id == run)).scalar()
        if text is None:
            raise no_run(run)
        return str(text)

    def run_hash(self, run: str) -> tuple[str, bool, int | None]:
        """What a run's page depends on: its content hash, whether its seal was opened, looks before.

        Raises:
            RefusedError: there is none of this name.
        """
        with self.database.reading() as connection:
            row = connection.execute(
                select(runs.content_hash, runs.opened, runs.held_out).where(runs.id == run)
            ).first()
        if row is None:
            raise no_run(run)
        content_hash, opened, held_out = row
        return content_hash, opened, self.looks_before(run) if held_out else None

    def looks_before(self, run: str) -> int | None:
        """How many looks went before the one that a run was, over every ledger here.

        None for a run that is no look, and where the ledgers here have no line of it.
        """
        for one in self.slim_runs(runs.id == run, runs.held_out):
            if held := one.run.held_out:
                return self.ledgers.looks_before().get(held.ledger.hash)
        return None

    def known_runs(self, names: Iterable[str]) -> set[str]:
        """Those of some names that a run here has."""
        # An older server took lines whose names a database cannot be asked for.
        rest, found = sorted({one for one in names if not unfit_name(one)}), set[str]()
        with self.database.reading() as connection:
            for start in range(0, len(rest), ROWS):
                some = select(runs.id).where(runs.id.in_(rest[start : start + ROWS]))
                found.update(connection.execute(some).scalars())
        return found

    def by_hash(self, content_hash: str) -> RunRow | None:
        """The run with this content."""
        with self.database.reading() as connection:
            row = connection.execute(
                select(*SUMMARY).where(runs.content_hash == content_hash)
            ).first()
        return RunRow(**row._mapping) if row else None

    def task_rows(self, run: str) -> list[TaskColumns]:
        """The tasks of a run, in its order."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(*TASK)
                .join(runs.table, runs.seq == tasks.run)
                .where(runs.id == run)
                .order_by(tasks.place)
            )
            return [TaskColumns(**row._mapping) for row in rows]

    def samples_of(self, run: str, task: str) -> TaskColumns:
        """The row of a task whose samples may be read.

        Raises:
            RefusedError: there is no such run or task, or its samples are under seal.
        """
        found = next((row for row in self.task_rows(run) if row.task == task), None)
        if found is None:
            self.run_hash(run)
            raise RefusedError(404, f"{run} has no task {task}.", "task")
        if found.closed:
            raise RefusedError(
                403,
                f"the samples of {task} in {run} are under seal; `olmes unseal` opens them, and a "
                "push then says so. Those of gated items stay closed.",
                "task",
            )
        return found

    def primaries(self, seqs: Sequence[int]) -> dict[int, dict[str, Primary]]:
        """The primary metric of every task of some runs, by run and task."""
        found: dict[int, dict[str, Primary]] = {seq: {} for seq in seqs}
        query = select(metrics.run, *METRIC).where(metrics.run.in_(seqs), metrics.is_primary)
        with self.database.reading() as connection:
            for seq, *columns in connection.execute(query):
                names = (column.name for column in METRIC)
                metric = MetricColumns(**dict(zip(names, columns, strict=True)))
                found[seq][metric.task] = metric.primary
        return found

    def primary_of(self, run: str, task: str) -> MetricColumns:
        """The primary metric of a task of a run.

        Raises:
            RefusedError: there is none of this name.
        """
        query = (
            select(*METRIC)
            .join(runs.table, runs.seq == metrics.run)
            .where(runs.id == run, metrics.task == task, metrics.is_primary)
        )
        with self.database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise no_run(run)
        return MetricColumns(**row._mapping)

    def slim_records(self, wanted: RunFilter, *, most: int = LARGEST) -> list[RunRecord]:
        """The slim records of the runs that pass a filter, none with more than `most` characters."""
        short = func.length(runs.slim) <= most
        return [one.run for one in self.slim_runs(*conditions(wanted), short)]

    def slim_runs(self, *where: ColumnElement[bool]) -> list[SlimRun]:
        """The slim records of some runs, in the order in which these came."""
        query = select(runs.seq, runs.id, runs.slim).where(*where).order_by(runs.seq)
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        found = []
        for seq, name, slim in rows:
            try:
                found.append(SlimRun(seq=seq, run=run_record(json.loads(slim))))
            except FieldError as error:
                # One that an older olmes took: it must not take everybody else's page away.
                facts = {"run": name, "why": str(error)}
                log.warning("a record cannot be read", extra={"facts": facts})
        return found

    def ledger_entries(self) -> list[Entry]:
        """Every line of every ledger."""
        return [line.entry for line in self.ledgers.lines()]

    def audit_entries(self, *, limit: int, before: int | None) -> list[AuditEntry]:
        """The audit log, newest first."""
        query = select(audit.table).order_by(audit.seq.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.seq < before)
        with self.database.reading() as connection:
            return [audit_entry(row) for row in connection.execute(query)]


def audit_entry(row: Row[*tuple[Any, ...]]) -> AuditEntry:
    """A line of the audit log as the API says it."""
    return AuditEntry(
        seq=row.seq,
        time=row.time,
        who=row.who,
        address=row.address,
        action=row.action,
        target=row.target,
        detail=row.detail,
    )


def conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    """A filter as SQL."""
    found: list[ColumnElement[bool]] = []
    exact: tuple[tuple[Column[Any], str | bool | None], ...] = (
        (runs.model, wanted.model),
        (runs.fingerprint, wanted.fingerprint),
        (runs.family, wanted.family),
        (runs.suite, wanted.suite),
        (runs.complete, wanted.complete),
        (runs.held_out, wanted.held_out),
        (runs.demo_data, wanted.demo_data),
        (runs.standard, wanted.standard),
    )
    for column, value in exact:
        if value is not None:
            found.append(column == value)
    if wanted.limited is not None:
        found.append(runs.limited != "" if wanted.limited else runs.limited == "")
    if wanted.task is not None:
        with_task = select(tasks.run).where(tasks.task == wanted.task)
        found.append(runs.seq.in_(with_task))
    if wanted.words:
        found.append(
            or_(
                runs.id.icontains(wanted.words, autoescape=True),
                runs.model.icontains(wanted.words, autoescape=True),
            )
        )
    return found


def place_of(row: RunRow, by: Order) -> Place:
    """Where a run stands in a list that is sorted so."""
    return (row.moment, row.id) if by == "created" else ("", row.seq)


def no_run(run: str) -> RefusedError:
    """What is said of a name that no run has."""
    return RefusedError(404, f"there is no run {run}.", "id")
