"""`make demo-record`: train the demo's chain, ask each checkpoint, write the recordings.

    python -m olmes.demo.record FOLDER [RECORDINGS]

The embedded model and every checkpoint of `olmes train chain demo` answer all demo data of the
development suite, the first and the last of them those of the unseen suite too, with answers cut at
`CAPS` tokens so that it takes an hour and not three on two cores. FOLDER keeps the checkpoints and the
runs, so that the same command resumes; RECORDINGS is where they go, by default those of olmes itself.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.data.resolve import DEMO
from olmes.export.recording import write_recording
from olmes.models.recording import RecordingHead
from olmes.records.record import Record
from olmes.runs.evaluation import Evaluation
from olmes.runs.options import DEFAULT_MODEL, RunOptions
from olmes.seal.look import Look
from olmes.seal.sealing import unseal
from olmes.types import JsonObject

CAPS = {
    "dev": {"math": 256, "ifeval": 384},
    "unseen": {"agieval": 96, "deepmind_math": 96, "ifeval_ood": 192},
}
"""Tokens of an answer, where a task's own limit is more than a tiny model that loops should spend."""
FAMILY = "demo"
REASON = "recorded for the demo"
BUNDLED = Path(__file__).parent / "recordings"


@dataclass(frozen=True, slots=True)
class Asked:
    """A model of the chain."""

    model: str
    """As `--model` takes it."""
    name: str
    step: int
    """Updates since the chain began, over all its stages."""
    lineage: list[JsonObject]

    @property
    def file(self) -> str:
        """Name of its recording, in the order of the steps."""
        return f"{self.step:03d}-{self.name.replace(' ', '-')}.jsonl.gz"


def main(folder: Path, recordings: Path = BUNDLED) -> None:
    """Train what is not trained, ask what is not asked, write the recordings."""
    models = chain_of(folder / "trained")
    recordings.mkdir(parents=True, exist_ok=True)
    for number, asked in enumerate(models):
        suites = ("dev", "unseen") if number in (0, len(models) - 1) else ("dev",)
        records = [ask(asked, suite, folder / "runs") for suite in suites]
        head = record(asked, records, recordings)
        print(f"{recordings / asked.file}: {head.rows} answers of {head.model.fingerprint[:8]}")


def chain_of(folder: Path) -> list[Asked]:
    """The models of the chain, which is trained where it is not yet, in order."""
    from olmes.trainers.chain import read_chain, run_chain

    chain = read_chain("demo")
    unscored = [
        dataclasses.replace(one, scoring=dataclasses.replace(one.scoring, suite=""))
        for one in chain.stages
    ]
    chain = dataclasses.replace(chain, stages=tuple(unscored), baseline=False, unseen=None)
    run_chain(chain, folder)
    return models_in(folder, [one.stage for one in chain.stages])


def models_in(folder: Path, stages: Sequence[str]) -> list[Asked]:
    """The embedded model, and every checkpoint of some stages in a chain's folder, in order."""
    origin: list[JsonObject] = [{"base": DEFAULT_MODEL}]
    found, before = [Asked(DEFAULT_MODEL, DEFAULT_MODEL, 0, [])], 0
    for stage in stages:
        own = {
            int(path.name.partition("-")[2]): path for path in (folder / stage).glob("checkpoint-*")
        }
        for step in sorted(own):
            lineage = [*origin, {"training": stage, "step": step}]
            found.append(Asked(str(own[step]), f"{stage} step {step}", before + step, lineage))
        last = max(own)
        origin.append({"training": stage, "step": last})
        before += last
    return found


def ask(asked: Asked, suite: str, out: Path) -> Record:
    """A model's record on a suite's demo data."""
    settings = {f"{task}.max_tokens": str(most) for task, most in CAPS[suite].items()}
    options = RunOptions(data=(DEMO,), out=out, settings=settings, look=Look(reason=REASON))
    return Evaluation.of(suite, options).run(asked.model)


def record(asked: Asked, records: Sequence[Record], folder: Path) -> RecordingHead:
    """Write the recording of a model's runs; samples under seal are opened in the runs' own ledger."""
    opened = []
    for one in records:
        if one.run.sealed and any(one.sealed(task) for task in one.tasks):
            unseal(one.folder, REASON)
        opened.append(Record.load(one.folder))
    about = {
        "name": asked.name, "family": FAMILY, "step": asked.step, "lineage": asked.lineage,
    }  # fmt: skip
    return write_recording(opened, folder / asked.file, about=about)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
