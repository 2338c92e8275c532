"""From the files of a run to what the store keeps. Runs in a worker process: it meets hostile files.

Nothing a client names reaches the file system: a file is found by its place in the manifest, and
kept under the hash of its content.
"""

from __future__ import annotations

import gzip
import re
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from olmes.records.record import Record
from olmes.seal.held_out import held_out_suites
from olmes.seal.ledger import Entry, Ledger
from olmes.seal.sealing import changed
from olmes.server.artifacts import Artifacts, sealed_name
from olmes.server.ledgers import read_ledger, unsealed_by
from olmes.server.record_schema import check_record, parse_json
from olmes.server.refusals import RefusedError
from olmes.server.rows import lines_of
from olmes.server.settings import Settings
from olmes.tools.hashing import content_hash, file_sha256
from olmes.tools.jsonl import dumps

FILE_NAME = re.compile(
    r"(run\.json|ledger\.jsonl|(samples/(?P<open>[^/]+)\.jsonl)|(sealed/(?P<sealed>[^/]+)\.jsonl\.gz))"
)
NO_NUMBERS = ("shared_messages", "diagnosis", "settings")
"""Parts of a task that no table of many runs shows."""


@dataclass(kw_only=True)
class Intake:
    """A run ready to be written into the database."""

    content_hash: str
    run: dict[str, Any]
    tasks: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    ledger: list[Entry] = field(default_factory=list)


def run_content_hash(hashes: Mapping[str, str]) -> str:
    """The content hash of a run: over the names and SHA-256 of its files.

    The ledger, which goes on growing, is left out, and so are samples that were opened: the sealed
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
    data = parse_json(raw, "run.json")
    check_record(data)
    check_held_out(data)
    check_files(data, files)
    held = data.get("held_out")
    entries: list[Entry] = []
    if "ledger.jsonl" in files:
        entries = read_ledger(files["ledger.jsonl"])
    if held:
        check_seal(data, files)
    opened = bool(held) and unsealed_by(entries, data["id"], held["ledger"])
    artifacts = Artifacts(settings.artifacts_place)
    tasks = []
    for place, (name, task) in enumerate(data["tasks"].items()):
        sealed = bool(held) and name in held["sealed"]
        kept = (
            keep_sealed(settings, artifacts, files, data, name, opened=opened)
            if sealed
            else keep_open(settings, artifacts, files, name, task)
        )
        tasks.append(
            {
                "task": name,
                "place": place,
                "formulation_hash": task["formulation_hash"],
                "data_hash": task["data"]["content_hash"],
                "origin": task["data"]["origin"],
                "sealed": sealed,
                "opened": sealed and opened,
                **kept,
            }
        )
    samples = sum(task["rows"] for task in tasks)
    return Intake(
        content_hash=run_content_hash(hashes),
        run=run_row(data, raw.decode("utf-8"), samples, opened=opened),
        tasks=tasks,
        metrics=metric_rows(data),
        ledger=entries,
    )


def check_held_out(data: dict[str, Any]) -> None:
    """Refuse open samples of a task that a held-out suite names.

    Raises:
        RefusedError: a task is held out and the record says nothing of a look.
    """
    sealed = (data.get("held_out") or {}).get("sealed", {})
    for suite in held_out_suites(None):
        for name in suite.tasks:
            if name in data["tasks"] and name not in sealed:
                path = f"tasks.{name}"
                raise RefusedError(
                    422,
                    f"run.json: {path}: is held out by the suite {suite.name}, and its samples are "
                    "not under seal; run it again with olmes run --reason.",
                    path,
                )


def check_files(data: dict[str, Any], files: Mapping[str, Path]) -> None:
    """Hold the names of the files against the record.

    Raises:
        RefusedError: one is missing, or is none of this run.
    """
    held = data.get("held_out") or {"sealed": {}}
    wanted = {"run.json"} | ({"ledger.jsonl"} if held["sealed"] else set())
    for name in data["tasks"]:
        sealed = name in held["sealed"]
        wanted.add(f"sealed/{name}.jsonl.gz" if sealed else f"samples/{name}.jsonl")
    if missing := sorted(wanted - set(files)):
        raise RefusedError(422, f"{missing[0]} is missing: the record names it.", missing[0])
    if unknown := sorted(set(files) - wanted - {"ledger.jsonl"}):
        task = FILE_NAME.fullmatch(unknown[0])
        under_seal = task and task["open"] in held["sealed"]
        why = "is under seal and is taken only so" if under_seal else "is no file of this record"
        raise RefusedError(422, f"{unknown[0]} {why}.", unknown[0])


def check_seal(data: dict[str, Any], files: Mapping[str, Path]) -> None:
    """Hold a run under seal against its ledger, as `olmes ledger` does.

    Raises:
        RefusedError: something is not as it was written.
    """
    with tempfile.TemporaryDirectory() as store:
        # The names are checked by now; the look of a store is what the seal's own check reads.
        folder = Path(store) / data["id"]
        (folder / "sealed").mkdir(parents=True)
        (Path(store) / "ledger.jsonl").symlink_to(files["ledger.jsonl"].resolve())
        (folder / "run.json").symlink_to(files["run.json"].resolve())
        for sealed in data["held_out"]["sealed"].values():
            (folder / sealed["file"]).symlink_to(files[sealed["file"]].resolve())
        said = changed(Record(folder, data), Ledger(Path(store)).entries())
    if said:
        raise RefusedError(422, f"held_out: {said[0]}.", "held_out")


def keep_open(
    settings: Settings,
    artifacts: Artifacts,
    files: Mapping[str, Path],
    name: str,
    task: dict[str, Any],
) -> dict[str, Any]:
    """Keep the samples of a task that is not held out."""
    file = f"samples/{name}.jsonl"
    with files[file].open("rb") as stream:
        kept = artifacts.keep(lines_of(stream, file, settings.limits.file), file, task["primary"])
    if kept.rows != task["n"]:
        path = f"tasks.{name}.n"
        raise RefusedError(
            422, f"run.json: {path}: says {task['n']}, and {file} holds {kept.rows} rows.", path
        )
    return {"artifact": kept.artifact, "sha256": kept.sha256, "rows": kept.rows}


def keep_sealed(
    settings: Settings,
    artifacts: Artifacts,
    files: Mapping[str, Path],
    data: dict[str, Any],
    name: str,
    *,
    opened: bool,
) -> dict[str, Any]:
    """Keep the samples of a held-out task as they are, or unpacked where they were opened."""
    sealed = data["held_out"]["sealed"][name]
    artifact = sealed_name(sealed["sha256"])
    artifacts.copy_in(files[sealed["file"]], artifact)
    if opened:
        artifact = open_sealed(settings, artifact, data["tasks"][name]["primary"])
    return {"artifact": artifact, "sha256": sealed["sha256"], "rows": sealed["rows"]}


def open_sealed(settings: Settings, artifact: str, metric: str) -> str:
    """Unpack a sealed artifact and keep its rows; the new artifact's name.

    Raises:
        RefusedError: it is damaged, unpacks to too much, or a row is not in order.
    """
    artifacts = Artifacts(settings.artifacts_place)
    try:
        with artifacts.open(artifact) as packed, gzip.open(packed, "rb") as stream:
            lines = lines_of(stream, artifact, settings.limits.file)
            return artifacts.keep(lines, artifact, metric).artifact
    except (OSError, EOFError, zlib.error) as error:
        raise RefusedError(
            422, f"a file under seal cannot be unpacked ({error}).", "held_out"
        ) from None


def run_row(data: dict[str, Any], text: str, samples: int, *, opened: bool) -> dict[str, Any]:
    """The row of the table of runs."""
    model, suite, held = data["model"], data["suite"] or {}, data.get("held_out")
    family = (held or {}).get("family") or model.get("family") or ""
    return {
        "id": data["id"],
        "created": data["created"],
        "complete": data["complete"] and suite.get("complete", True),
        "model": model["name"],
        "fingerprint": model["fingerprint"],
        "family": family,
        "step": model.get("step"),
        "suite": suite.get("name", ""),
        **{key: suite.get(key) for key in ("value", "stderr", "ci_low", "ci_high")},
        "held_out": bool(held),
        "opened": opened,
        "sample_data": any(t["data"]["origin"] == "sample" for t in data["tasks"].values()),
        "samples": samples,
        "data": text,
        "slim": dumps(slim(data)),
    }


def slim(data: dict[str, Any]) -> dict[str, Any]:
    """A record without the texts that no table of many runs needs."""
    tasks = {
        name: {key: value for key, value in task.items() if key not in NO_NUMBERS}
        | {"formulation": {"aggregate": task["formulation"].get("aggregate", "micro")}}
        for name, task in data["tasks"].items()
    }
    kept = {k: v for k, v in data.items() if k not in ("environment", "timing", "cost")}
    return kept | {"tasks": tasks}


def metric_rows(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the table of metrics."""
    return [
        {
            "task": name,
            "metric": metric,
            "is_primary": metric == task["primary"],
            **{key: found[key] for key in ("value", "stderr", "ci_low", "ci_high", "n")},
        }
        for name, task in data["tasks"].items()
        for metric, found in task["metrics"].items()
    ]
