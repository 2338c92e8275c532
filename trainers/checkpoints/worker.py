"""The process that scores checkpoints.

`python -m olmes.trainers.checkpoints.worker OUT/checkpoints/NAME`

It takes one job after another out of a training's queue and stays warm between them: plans, tokens and
scoring processes are kept, and weights are swapped in place where jobs follow at once. It ends when
nothing waits and no process is there that could queue more. Killed at any moment and started again, it
resumes within the checkpoint it was at: the run's own journal has every response.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from olmes.client.live import LiveProgress, NotPushedError, push_record
from olmes.comparison.items import SharedItems
from olmes.errors import OlmesError
from olmes.models.checkpoint.completeness import trouble_of
from olmes.models.checkpoint.fingerprint import ADAPTERS
from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.checkpoint.merging import UnmergeableError
from olmes.models.hf.model import HFModel
from olmes.models.hf.warm import WarmMemory
from olmes.records.reasons import why_incomplete
from olmes.records.record import Record
from olmes.runs.evaluation import Evaluation
from olmes.scoring.process.shared_pool import SharedPool
from olmes.tools.locks import Lock, anybody_in, held
from olmes.tools.places import OUT, writing
from olmes.tools.plain_streams import degrade
from olmes.trainers.checkpoints.adapters import merged
from olmes.trainers.checkpoints.best import outcome, publish
from olmes.trainers.checkpoints.folders import signature
from olmes.trainers.checkpoints.manifest import Training
from olmes.trainers.checkpoints.queue import Job, Queue
from olmes.trainers.checkpoints.request import EvalRequest
from olmes.trainers.checkpoints.results import ScoreResult
from olmes.trainers.checkpoints.sign_of_life import SignsOfLife
from olmes.trainers.checkpoints.staging import sweep

POLL_SECONDS = 0.5
LOWER_PRIORITY = 10
PATIENCE = 5.0
"""Seconds for which a server is waited for: the next checkpoint should not wait with it."""
TIMEOUT = 60.0
"""Seconds until a request that a server does not answer is given up."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Score what is queued; 0 also when checkpoints failed, which the queue says."""
    parser = argparse.ArgumentParser(
        prog="python -m olmes.trainers.checkpoints.worker", description=__doc__
    )
    parser.add_argument("training", type=Path, help="OUT/checkpoints/NAME")
    parser.add_argument("--drain", action="store_true", help="end as soon as nothing waits")
    parser.add_argument("--job", help="score this job alone (the id that {job} was replaced by)")
    parser.add_argument("--retry-failed", action="store_true", help="queue failed jobs once more")
    chosen = parser.parse_args(arguments)
    degrade()
    try:
        with writing(chosen.training.resolve(), OUT):
            scorer = Scorer(chosen.training.resolve())
            if chosen.retry_failed:
                say(f"{scorer.queue.retry_failed()} failed jobs are queued once more")
            scorer.work(drain=chosen.drain or chosen.retry_failed, only=chosen.job)
    except OlmesError as error:
        print(f"olmes: {error}", file=sys.stderr)
        return 2
    return 0


class Scorer:
    """Scores the checkpoints of one training, one after another."""

    def __init__(self, folder: Path) -> None:
        self.training = Training.read(folder)
        self.queue = Queue(folder)
        self.evaluations: dict[str, Evaluation] = {}
        self.items = SharedItems(each=True)
        self.pushed: set[str] = set()
        """Folders of records that the server has."""
        self.unsent: dict[str, str] = {}
        """Folders of records that it lacks, and why; what was said once is not said again."""
        self.warm = WarmMemory()
        self.scorers = SharedPool()

    def work(self, *, drain: bool = False, only: str | None = None) -> None:
        """Take jobs until there is nothing more to wait for.

        Args:
            drain: do not wait for jobs that are still to be put.
            only: the id of the one job to do; several processes may do one each.
        """
        folder = self.queue.folder
        lock = Lock.take(folder / "scorer.lock") if only is None else None
        if only is None and lock is None:
            say("another process scores this training")
            return
        with contextlib.suppress(OSError):
            os.chdir(self.training.cwd)
        with contextlib.suppress(OSError, AttributeError):
            os.nice(LOWER_PRIORITY)
        if only is None:
            self.publish()
            self.push()
        signs = SignsOfLife(folder) if only is None else None
        while True:
            taken = self.queue.take(only)
            if taken is not None:
                job, job_lock = taken
                try:
                    self.score(job)
                finally:
                    job_lock.release()
            elif not self.more_to_come(drain=drain, only=only):
                break
            else:
                # The training may need the memory; tokens and scoring processes stay.
                self.warm.release()
                time.sleep(POLL_SECONDS)
        self.warm.release()
        self.scorers.close()
        if only is None and self.unsent:
            self.push()
        if signs is not None:
            signs.end()
        if lock is not None:
            lock.release()

    def more_to_come(self, *, drain: bool, only: str | None) -> bool:
        """Whether to wait: for a retry, or for somebody who may bring more.

        Jobs that other processes run are theirs.
        """
        locks = self.queue.folder / "locks"
        for job in self.queue.waiting():
            if only in (None, job.id) and not held(locks / f"{job.id}.lock"):
                return True
        return not drain and only is None and anybody_in(self.queue.folder / "present")

    def score(self, job: Job) -> None:
        """Score one checkpoint and write down how it ended; an error queues it once more."""
        say(f"{job.label}: begins (attempt {job.attempts + 1})")
        began = time.perf_counter()
        last = job.attempts >= self.training.retries
        try:
            result, fingerprint = self.result_of(job)
            if not result["complete"] and not result["missing"] and not last:
                why = "; ".join(why_incomplete(Record.load(Path(result["folder"])).run))
                raise OlmesError(f"some responses failed or could not be scored ({why}).")
        # Anything else than the end of this process: one checkpoint's error must not stop the rest.
        except Exception as error:
            known = isinstance(error, OlmesError)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            if not known:
                traceback.print_exc()
            say(f"{job.label}: {reason}")
            if last or isinstance(error, UnmergeableError):
                self.queue.finish(job, "failed", reason=reason)
            else:
                delay = self.training.retry_delay * 2**job.attempts
                self.queue.finish(job, "queued", reason=reason, retry_in=delay)
        else:
            result["seconds"] = round(time.perf_counter() - began, 3)
            # Before the job is over: whoever waits for the queue may end this process then.
            self.push(result["folder"])
            if self.queue.finish(job, "done", fingerprint=fingerprint, result=result):
                say(f"{job.label}: {result['suite']} {result['value']} ({result['record']})")
            else:
                say(f"{job.label}: was written again meanwhile, so this score is not kept")
        self.publish()

    def result_of(self, job: Job) -> tuple[ScoreResult, str]:
        """A job's numbers and the model's fingerprint.

        Raises:
            OlmesError: the files are not complete any more, or the run cannot be made.
        """
        request = job.request
        folder = self.queue.folder / job.folder
        if trouble := trouble_of(folder):
            raise OlmesError(f"{folder}: {trouble.reason}.")
        changed = OlmesError(
            f"the files of {job.label} were written again after they were staged; they are scored "
            "when the trainer saves again."
        )
        if signature(folder) != job.signature:
            raise changed
        if (folder / ADAPTERS[0]).is_file():
            folder = merged(folder)
        model = HFModel(
            f"{self.training.name}/{job.label}",
            LocalCheckpoint(folder),
            dtype=request.dtype,
            device=request.device,
            batch_size=request.batch_size,
            max_length=request.max_length,
            asking=request.asking,
            warm=self.warm,
        )
        if duplicate := self.duplicate(job, model.fingerprint):
            return duplicate, model.fingerprint
        record = self.run(request, job.request_hash, model)
        if signature(self.queue.folder / job.folder) != job.signature:
            raise changed
        return outcome(record), model.fingerprint

    def duplicate(self, job: Job, fingerprint: str) -> ScoreResult | None:
        """The score of a checkpoint with the same weights, where it is complete."""
        same = self.queue.jobs(
            "state = 'done' AND ask_hash = ? AND fingerprint = ? AND id != ?",
            (job.request_hash, fingerprint, job.id),
        )
        for one in same:
            if one.result and one.result["complete"]:
                return {**one.result, "same_as": one.label}
        return None

    def run(self, request: EvalRequest, request_hash: str, model: HFModel) -> Record:
        """Run the suite, resuming where an earlier process was killed; write the record's page."""
        if request_hash not in self.evaluations:
            suite, tasks = request.members
            options = request.options(self.training.name)
            self.evaluations[request_hash] = Evaluation(tasks, suite, options)
        live = LiveProgress(self.training.push, say=say) if self.training.push else None
        record = self.evaluations[request_hash].run_loaded(
            model, callback=live, scorers=self.scorers
        )
        page = record.folder / "report.html"
        if not page.exists():
            # Imported here, so that the process starts without the reports.
            from olmes.reports.run_page import write_run_page

            try:
                write_run_page(record.folder, page)
            except Exception as error:  # the score is there all the same
                say(f"{page} could not be written ({type(error).__name__}: {error})")
        return record

    def publish(self) -> None:
        """Write the scores and the best, and remove what nobody needs any more.

        An error here is logged and does not stop the scoring; the next call writes everything again.
        """
        try:
            best = publish(self.queue, self.training, self.items)
            everything = {job.folder for job in self.queue.jobs()}
            kept = {"best": best, "all": everything, "none": set()}[self.training.keep]
            sweep(self.queue, kept)
        except Exception:
            traceback.print_exc()

    def push(self, *fresh: str) -> None:
        """Send the records that the server lacks; what does not get there goes with the next ones.

        Args:
            fresh: folders of records whose jobs are not over yet.
        """
        if not self.training.push:
            return
        done = self.queue.jobs("state = 'done'")
        folders = [str(job.result["folder"]) for job in done if job.result]
        for folder in dict.fromkeys([*folders, *fresh]):
            if folder in self.pushed:
                continue
            try:
                pushed = push_record(
                    Path(folder), self.training.push, patience=PATIENCE, timeout=TIMEOUT, say=say
                )
            except NotPushedError as error:
                if self.unsent.get(folder) != str(error):
                    say(str(error))
                self.unsent[folder] = str(error)
                if error.refused:  # this one alone
                    continue
                return
            self.pushed.add(folder)
            self.unsent.pop(folder, None)
            say(f"pushed {pushed.url}")


def say(line: str) -> None:
    """A line of the log, where there is room for it."""
    with contextlib.suppress(OSError):
        print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
