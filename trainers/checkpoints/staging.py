"""Staging a checkpoint's files, so that a trainer may remove or rewrite its own.

Hard links cost no space and no time; where the store is on another file system, files are copied.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path

from olmes.errors import OlmesError
from olmes.models.checkpoint.completeness import STATE, has_tokenizer, state_of
from olmes.models.checkpoint.merging import add_tokenizer
from olmes.tools.durable_files import as_umask_says, sync_folder
from olmes.trainers.checkpoints.folders import CheckpointFolder, model_files, signature
from olmes.trainers.checkpoints.queue import Queue
from olmes.trainers.checkpoints.request import EvalRequest, Policy

TEMPORARY = ".new-"
REMOVED = ".old-"
STALE_SECONDS = 3600.0
SPARE = 2.0
"""Files are copied only where so many times their size is free: a full disk ends the training."""
FAILED_KEPT = 2
"""Checkpoints kept of those that could not be scored, the newest, for `--retry-failed`."""
FILES = "files"
"""Below it each checkpoint has a folder of its own, `LABEL-SIGNATURE/TRAINING/LABEL`: the last two
are what the seal recognizes a family and a step by.
"""


def stage(
    queue: Queue,
    checkpoint: CheckpointFolder,
    request: EvalRequest,
    policy: Policy,
    *,
    training: str,
    tokenizer: Path | None = None,
    add_files: Callable[[Path], None] = lambda _: None,
) -> bool:
    """Stage a complete checkpoint and queue it; False where it has been queued before.

    A process killed at any moment leaves either a job whose files are all there, or none.

    Args:
        queue: of the training.
        checkpoint: a complete one.
        request: what is run on it.
        policy: which jobs go first.
        training: the training's name.
        tokenizer: a folder whose tokenizer is used where the checkpoint has none.
        add_files: writes further files into the new folder.

    Raises:
        OlmesError: the files would have to be copied and the disk is too full.
        OSError: they cannot be read or written.
    """
    sign = signature(checkpoint.folder)
    known = queue.find(checkpoint.label, request)
    if known is not None and known.signature == sign:
        lost = known.state == "failed" and not (queue.folder / known.folder).is_dir()
        if not lost:
            return False
    files = queue.folder / FILES
    files.mkdir(exist_ok=True)
    unit = f"{checkpoint.label}-{sign[:8]}"
    temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=files))
    as_umask_says(temporary, 0o777)
    inner = temporary / training / checkpoint.label
    inner.mkdir(parents=True)
    try:
        gather(checkpoint.folder, inner)
        if tokenizer is not None and not has_tokenizer(inner):
            add_tokenizer(tokenizer, inner)
        if signature(checkpoint.folder) != sign or signature(inner) != sign:
            raise OlmesError(f"{checkpoint.folder} changed while it was staged; try again.")
        add_files(inner)
        with queue.changing() as connection:
            if not (files / unit).exists():
                # On the disk before the job that names them is.
                for folder in (inner, inner.parent, temporary):
                    sync_folder(folder)
                temporary.rename(files / unit)
                sync_folder(files)
            queue.insert(
                connection,
                label=checkpoint.label,
                step=checkpoint.step,
                signature=sign,
                source=checkpoint.folder,
                folder=f"{FILES}/{unit}/{training}/{checkpoint.label}",
                request=request,
                policy=policy,
            )
        keep_log(checkpoint, queue.folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def gather(source: Path, target: Path) -> None:
    """Link the model's files into a folder, or copy them.

    Raises:
        OlmesError: the disk is too full for copies.
    """
    for file in model_files(source):
        try:
            os.link(file.resolve(), target / file.name)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
            size = file.stat().st_size
            if shutil.disk_usage(target).free < SPARE * size + (1 << 20):
                raise OlmesError(
                    f"{file} would have to be copied to {target.parent}, and the disk is too full; "
                    "give an `out` on the checkpoints' file system."
                ) from None
            shutil.copy2(file, target / file.name)


def own_copies(queue: Queue, label: str) -> None:
    """Replace a checkpoint's linked files by copies, before a trainer writes into its own again.

    A trainer that saves into a folder that is there writes into the very files.
    """
    for file in (queue.folder / FILES).glob(f"{label}-*/*/{label}/*"):
        if file.is_file() and file.stat().st_nlink > 1:
            copy = file.with_name(f"{TEMPORARY}{file.name}")
            shutil.copy2(file, copy)
            copy.replace(file)


def keep_log(checkpoint: CheckpointFolder, training: Path) -> None:
    """Keep the trainer's own log (loss, rewards) of the newest checkpoint with the scores."""
    ours = training / STATE
    theirs = checkpoint.folder / STATE
    if theirs.is_file() and (checkpoint.step or 0) >= (state_of(training).get("global_step") or 0):
        copy = training / f"{TEMPORARY}{STATE}.{os.getpid()}"
        shutil.copy2(theirs, copy)
        copy.replace(ours)


def sweep(queue: Queue, kept: Collection[str] = ()) -> None:
    """Remove the folders nobody waits for: of jobs that are over, and of processes that died.

    Args:
        queue: of the training.
        kept: folders of jobs that stay all the same.
    """
    files = queue.folder / FILES
    if not files.is_dir():
        return
    with queue.changing() as connection:
        rows = connection.execute("SELECT folder, state FROM jobs ORDER BY number").fetchall()
        failed = [row["folder"] for row in rows if row["state"] == "failed" and row["folder"]]
        wanted = [row["folder"] for row in rows if row["state"] in ("queued", "running")]
        units = {unit_of(folder) for folder in (*wanted, *failed[-FAILED_KEPT:], *kept)}
        for folder in files.iterdir():
            if folder.name in units or folder.name.startswith(REMOVED):
                continue
            if folder.name.startswith(TEMPORARY) and age(folder) < STALE_SECONDS:
                continue  # somebody is filling it
            # At once, so that no half-removed folder is taken for a checkpoint.
            folder.rename(folder.with_name(f"{REMOVED}{folder.name}-{time.time_ns()}"))
    for folder in files.glob(f"{REMOVED}*"):
        shutil.rmtree(folder, ignore_errors=True)


def unit_of(folder: str) -> str:
    """The part of a job's folder that is removed as one."""
    return folder.split("/")[1] if folder else ""


def age(path: Path) -> float:
    """Seconds since a folder or one in it changed; 0 where it is gone."""
    try:
        changed = [one.stat().st_mtime for one in (path, *path.glob("*"), *path.glob("*/*"))]
        return time.time() - max(changed)
    except OSError:
        return 0.0
