"""From the files of a run to what the store keeps. Runs in a worker process: it meets hostile files.

Nothing a client names reaches the file system: a file is found by its place in the manifest, and
kept under the hash of its content.
"""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from olmes.records.record import Record
from olmes.records.schema import RunRecord
from olmes.seal.held_out import Exam, exams
from olmes.seal.ledger import Entry, Ledger
from olmes.seal.sealing import changed
from olmes.server.intake.checks import checked_record
from olmes.server.intake.fields import parse_json
from olmes.server.intake.recount import Recount, hold_complete, hold_mean
from olmes.server.intake.sample_rows import checked_row, lines_of
from olmes.server.intake.sealed_rows import sealed_lines
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.server.store.artifacts import Artifacts, Written, sealed_name
from olmes.server.store.ledgers import is_look, read_ledger, unsealed_by
from olmes.server.store.table_rows import MetricColumns, NewRun, TaskColumns, metric_rows, new_run
from olmes.tools.hashing import content_hash, file_sha256

FILE_NAME = re.compile(
    r"(run\.json|ledger\.jsonl|(samples/(?P<open>[^/]+)\.jsonl)|(sealed/(?P<sealed>[^/]+)\.jsonl\.gz))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A run ready to be written into the database."""

    content_hash: str
    run: NewRun
    tasks: list[TaskColumns]
    metrics: list[MetricColumns]
    ledger: list[Entry] = field(default_factory=list)


def run_content_hash(hashes: Mapping[str, str]) -> str:
    """The content hash of a run: over the names and SHA-256 of its files.

    The ledger, which keeps growing, is left out, and so are samples that were opened: the sealed
    file stands for them.
    """
    return content_hash({name: sha for name, sha in hashes.items() if name != "ledger.jsonl"})


def take_in(settings: Settings, files: Mapping[str, Path], hashes: Mapping[str, str]) -> Intake:
    """Check a run's files against each other and keep its samples as artifacts.

    Args:
        settings: of the store.
        files: where each file lies, by its name in the record.
        hashes: SHA-256 that each file is said to have.

    Raises:
        RefusedError: a file is not what it is said to be, or the record is not in order.
    """
    for name, path in files.items():
        if file_sha256(path) != hashes[name]:
            raise RefusedError(422, f"{name} arrived with another SHA-256 than was said.", name)
    if files["run.json"].stat().st_size > settings.limits.record:
        raise RefusedError(
            413, f"run.json is larger than {settings.limits.record:,} bytes.", "run.json"
        )
    raw = files["run.json"].read_bytes()
    run = checked_record(parse_json(raw, "run.json"))
    check_held_out(run)
    check_files(run, files)
    entries: list[Entry] = []
    if "ledger.jsonl" in files:
        entries = read_ledger(files["ledger.jsonl"])
    opened = False
    if run.held_out:
        check_seal(run, files)
        if not is_look(entries, run.id, run.held_out):
            number = run.held_out.ledger.number
            raise RefusedError(
                422,
                f"held_out: line {number} of the ledger is not the look of {run.id}.",
                "held_out",
            )
        opened = unsealed_by(entries, run.id, run.held_out)
    tasks = kept_tasks(settings, run, files, opened=opened)
    hold_complete(run)
    hold_mean(run)
    samples = sum(task.rows for task in tasks)
    return Intake(
        content_hash=run_content_hash(hashes),
        run=new_run(run, raw.decode("utf-8"), samples, opened=opened),
        tasks=tasks,
        metrics=metric_rows(run),
        ledger=entries,
    )


def kept_tasks(
    settings: Settings, run: RunRecord, files: Mapping[str, Path], *, opened: bool
) -> list[TaskColumns]:
    """Keep the samples of every task; the rows of the table of tasks.

    Raises:
        RefusedError: a samples file is not in order.
    """
    artifacts = Artifacts(settings.artifacts_place)
    tasks = []
    for place, (name, task) in enumerate(run.tasks.items()):
        sealed = run.sealed.get(name)
        opened_here = opened and sealed is not None and name not in run.gated
        if sealed:
            kept = keep_sealed(settings, artifacts, files, run, name, opened=opened_here)
        else:
            kept = keep_open(settings, artifacts, files, run, name)
        tasks.append(
            TaskColumns(
                task=name,
                place=place,
                formulation_hash=task.formulation_hash,
                data_hash=task.data.content_hash,
                origin=task.data.origin,
                sealed=sealed is not None,
                opened=opened_here,
                artifact=kept.artifact,
                sha256=kept.sha256,
                rows=kept.rows,
            )
        )
    return tasks


@functools.cache
def known_exams() -> list[Exam]:
    """What the held-out suites that are installed here keep closed; read once a process."""
    return exams()


def check_held_out(run: RunRecord) -> None:
    """Refuse open samples of a task that is held out, by its name or by its data.

    Raises:
        RefusedError: a task is held out and the record says nothing of a look.
    """
    for name, task in run.tasks.items():
        if name in run.sealed:
            continue
        for exam in known_exams():
            if exam.holds(name, task.data.content_hash):
                path = f"tasks.{name}"
                what = "is" if name in exam.names else "has data that are"
                raise RefusedError(
                    422,
                    f"run.json: {path}: {what} held out by the suite {exam.suite}, and its samples "
                    "are not under seal; run it again with olmes run --reason.",
                    path,
                )


def check_files(run: RunRecord, files: Mapping[str, Path]) -> None:
    """Hold the names of the files against the record.

    Raises:
        RefusedError: one is missing, or is not one of this run.
    """
    wanted = {"run.json"} | ({"ledger.jsonl"} if run.held_out else set())
    for name in run.tasks:
        wanted.add(f"sealed/{name}.jsonl.gz" if name in run.sealed else f"samples/{name}.jsonl")
    if missing := sorted(wanted - set(files)):
        raise RefusedError(422, f"{missing[0]} is missing: the record names it.", missing[0])
    if unknown := sorted(set(files) - wanted - {"ledger.jsonl"}):
        task = FILE_NAME.fullmatch(unknown[0])
        under_seal = task and task["open"] in run.sealed
        why = "is under seal and is taken only so" if under_seal else "is not a file of this record"
        raise RefusedError(422, f"{unknown[0]} {why}.", unknown[0])


def check_seal(run: RunRecord, files: Mapping[str, Path]) -> None:
    """Hold a run under seal against its ledger, as `olmes ledger` does.

    Raises:
        RefusedError: something is not as it was written.
    """
    with tempfile.TemporaryDirectory() as store:
        # The names are checked by now; the look of a store is what the seal's own check reads.
        folder = Path(store) / run.id
        (folder / "sealed").mkdir(parents=True)
        if "ledger.jsonl" in files:
            (Path(store) / "ledger.jsonl").symlink_to(files["ledger.jsonl"].resolve())
        (folder / "run.json").symlink_to(files["run.json"].resolve())
        for sealed in run.sealed.values():
            (folder / sealed.file).symlink_to(files[sealed.file].resolve())
        try:
            said = changed(Record(folder, run), Ledger(Path(store)).entries())
        except (KeyError, TypeError) as error:
            said = [f"a line of its ledger is not as olmes writes it ({error!r})"]
    if said:
        raise RefusedError(422, f"held_out: {said[0]}.", "held_out")


def keep_open(
    settings: Settings,
    artifacts: Artifacts,
    files: Mapping[str, Path],
    run: RunRecord,
    name: str,
) -> Written:
    """Keep the samples of a task that is not held out.

    Raises:
        RefusedError: a row is not in order, or the rows do not give the record's numbers.
    """
    file, task = f"samples/{name}.jsonl", run.tasks[name]
    counted = Recount(name, task)
    with files[file].open("rb") as stream:
        lines = lines_of(stream, file, settings.limits.file)
        kept = artifacts.keep(lines, file, task.primary, counted.add)
    counted.hold()
    return kept


def keep_sealed(
    settings: Settings,
    artifacts: Artifacts,
    files: Mapping[str, Path],
    run: RunRecord,
    name: str,
    *,
    opened: bool,
) -> Written:
    """Keep the samples of a held-out or gated task as they are, or unpacked where they were opened.

    Raises:
        RefusedError: the file cannot be unpacked, a row is not in order, or the rows do not give the
            record's numbers.
    """
    sealed, task = run.sealed[name], run.tasks[name]
    counted = Recount(name, task)
    path = files[sealed.file]
    artifact = sealed_name(sealed.sha256)
    with path.open("rb") as packed:
        lines = sealed_lines(packed, path.stat().st_size, sealed.file, settings.limits.file)
        if opened:
            artifact = artifacts.keep(lines, sealed.file, task.primary, counted.add).artifact
        else:
            # Read to the end, so that it can be opened one day; nothing of it is kept or shown.
            for number, line in enumerate(lines, start=1):
                counted.add(checked_row(line, f"{sealed.file}, line {number}"))
    rows = counted.sizes.total()
    if rows != sealed.rows:
        path_of = f"held_out.sealed.{name}.rows"
        raise RefusedError(
            422, f"run.json: {path_of}: says {sealed.rows}, and the file holds {rows}.", path_of
        )
    counted.hold()
    artifacts.copy_in(path, sealed_name(sealed.sha256))
    return Written(artifact=artifact, sha256=sealed.sha256, rows=rows)


def open_sealed(settings: Settings, artifact: str, metric: str, *, rows: int | None = None) -> str:
    """Unpack a sealed artifact and keep its rows; the new artifact's name.

    Args:
        settings: of the store.
        artifact: its name.
        metric: the primary one of its task.
        rows: how many the record says it holds, where that was not checked before.

    Raises:
        RefusedError: it is damaged, unpacks to too much or to another number of rows, or a row is not
            in order.
    """
    artifacts = Artifacts(settings.artifacts_place)
    try:
        with artifacts.open(artifact) as packed:
            size = artifacts.files.size(artifacts.path(artifact))
            lines = sealed_lines(packed, size, "a file under seal", settings.limits.file)
            kept = artifacts.keep(lines, artifact, metric)
    except OSError as error:
        raise RefusedError(
            422, f"a file under seal cannot be read ({error}).", "held_out"
        ) from None
    if rows is not None and kept.rows != rows:
        raise RefusedError(
            422,
            f"a file under seal holds {kept.rows} rows, and its record says {rows}.",
            "held_out",
        )
    return kept.artifact
