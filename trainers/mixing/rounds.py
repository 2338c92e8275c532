"""A round of a mix: every variant trained and scored, then held against the full mixture.

The same command again resumes at the training, the score or the look where it was stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from olmes.comparison.mix_rounds import changes_text
from olmes.errors import OlmesError
from olmes.records.record import Record
from olmes.tools.jsonl import dumps, write_atomically
from olmes.tools.locks import Lock
from olmes.tools.places import OUT, writing
from olmes.tools.toml_text import toml_text
from olmes.trainers.chain import STORE, evaluated
from olmes.trainers.checkpoints.folders import FINAL
from olmes.trainers.mixing.places import (
    RECIPE,
    ROUND,
    begin,
    begun_rounds,
    is_over,
    read,
    round_folder,
)
from olmes.trainers.mixing.proposal import given, proposal_file, write_proposal
from olmes.trainers.mixing.recipe import Mix, read_mix
from olmes.trainers.mixing.results import Finished, advice_on, write_results
from olmes.trainers.mixing.scores import last_record
from olmes.trainers.mixing.variants import Mixed
from olmes.trainers.recipes.stages import Recipe
from olmes.trainers.stage import finished
from olmes.trainers.together.launch import launch
from olmes.trainers.together.processes import launched
from olmes.trainers.train import train
from olmes.trainers.training_page import UNSEEN

Say = Callable[[str], None]
LOCK = "mix.lock"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a round."""

    mixed: Mixed
    recipe: Recipe
    """With its own seed, and the store of its records."""
    folder: Path

    @property
    def name(self) -> str:
        """`without chats, seed 42`."""
        return f"{self.mixed.variant.name}, seed {self.recipe.seed}"


def run_mix(
    mix: Mix, out: Path, *, accept: bool = False, settings: dict[str, str], say: Say
) -> None:
    """Do one round: the recipe's own, or with `accept` the one that was proposed last.

    Args:
        mix: the recipe.
        out: the mix's folder.
        accept: whether the last round's proposal is the next round; a round that is not over is
            resumed and nothing is accepted.
        settings: `--set` pairs, which hold for the accepted recipe too, but for its data and round.
        say: gets a line for everything a user should know.

    Raises:
        OlmesError: the folder holds another mix, nothing is there to accept, or as `train`.
    """
    with writing(out, OUT), alone_in(out):
        if accept:
            accepted = accepted_mix(mix, out, settings, say)
            if accepted is None:
                return
            mix = accepted
        check_before(mix, out)
        folder = begin(mix, out)
        if is_over(out, mix.mixing.round):
            say(f"round {mix.mixing.round} is done; nothing is trained")
        runs = runs_of(mix, folder, out)
        records = [
            train_run(run, say, f"{number} of {len(runs)}") for number, run in enumerate(runs, 1)
        ]
        looks = [look(mix, run, out, say) for run in runs] if mix.unseen else []
        end(mix, out, records, looks, say)


@contextlib.contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Keep every other command out of a mix's folder.

    Raises:
        OlmesError: another one is in it.
    """
    lock = Lock.take(out / LOCK)
    if lock is None:
        raise OlmesError(f"another command works in {out}; wait for it, or give another --out.")
    try:
        yield
    finally:
        lock.release()


def accepted_mix(mix: Mix, out: Path, settings: dict[str, str], say: Say) -> Mix | None:
    """The mix of the round that --accept is for; None where no other mix was proposed.

    Raises:
        OlmesError: no round is over, or the last of them is.
    """
    begun = begun_rounds(out)
    if not begun:
        raise OlmesError(
            f"{out} has no proposed mix yet; run the same command without --accept first, and read "
            "what it proposes."
        )
    last = begun[-1]
    kept = {
        key: text for key, text in settings.items() if not key.startswith(("data", "mix.round"))
    }
    if "mix.rounds" in settings:
        kept["mix.rounds"] = settings["mix.rounds"]
    if not is_over(out, last):
        say(f"round {last} is not over: it is resumed, and nothing is accepted")
        if last == mix.mixing.round:
            return mix
        return read_mix(round_folder(out, last) / RECIPE, kept)
    if last >= mix.mixing.rounds:
        raise OlmesError(
            f"all rounds of {mix.name} are over (mix.rounds = {mix.mixing.rounds}); the last mix is in "
            f"{proposal_file(out, last + 1)}; allow more rounds with --set mix.rounds=N."
        )
    file = proposal_file(out, last + 1)
    if not file.is_file():
        raise OlmesError(
            f"{file} is missing; run round {last} without --accept, which writes it again."
        )
    if not read(round_folder(out, last) / ROUND)["changes"]:
        say(
            f"round {last} proposes no other mix, so there is nothing to accept: {file} is as it was"
        )
        return None
    say(f"round {last + 1}: {file} is accepted")
    return read_mix(file, kept)


def check_before(mix: Mix, out: Path) -> None:
    """Refuse at once what the last training or the look would refuse.

    Raises:
        OlmesError: a name, a setting or an option is unknown, or held-out tasks are in [scoring].
    """
    from olmes.runs.planning import tasks_of
    from olmes.trainers.on_trl.table import check_table
    from olmes.trainers.scoring_hook import hook_of
    from olmes.trainers.train import check_installed

    check_installed()
    check_table(mix.recipe)
    hook_of(mix.recipe, out, {})
    if mix.unseen is not None:
        tasks_of(mix.unseen.target)


def runs_of(mix: Mix, folder: Path, out: Path) -> list[Run]:
    """The trainings of a round: all variants with the first seed, then with the next."""
    scoring = mix.recipe.scoring
    scoring = dataclasses.replace(scoring, out=scoring.out or str(out / STORE))
    return [
        Run(
            mixed=mixed,
            recipe=dataclasses.replace(
                mixed.seeded(number), scoring=scoring, name=f"{mixed.folder}-{number + 1}"
            ),
            folder=folder / f"{mixed.folder}-{number + 1}",
        )
        for number in range(mix.mixing.seeds)
        for mixed in mix.variants
    ]


def train_run(run: Run, say: Say, number: str) -> Record:
    """Train a variant unless it is trained, and give the record of its last checkpoint.

    Raises:
        OlmesError: as `train`, or the last checkpoint cannot be scored.
    """
    if finished(run.recipe, run.folder) is None:
        say(f"training {number}: {run.name}")
        if run.recipe.hardware.processes > 1 and not launched():
            file = run.folder.with_suffix(".toml")
            write_atomically(file, stage_text(run.recipe))
            arguments = ["train", run.recipe.stage, str(file), "--out", str(run.folder)]
            launch(run.recipe, arguments, say=say)
        else:
            train(run.recipe, run.folder, say=say)
    else:
        say(f"training {number} is done: {run.name}")
    return last_record(run.recipe, run.folder, say)


def stage_text(recipe: Recipe) -> str:
    """A recipe as the text of its file."""
    return toml_text({"stage": recipe.stage, **given(recipe)})


def look(mix: Mix, run: Run, out: Path, say: Say) -> Record:
    """Put a trained variant to the held-out suite, unless that was done.

    Raises:
        OlmesError: the look cannot be written into the ledger, or the suite cannot be run.
    """
    from olmes.seal.look import Look

    assert mix.unseen is not None
    marker = run.folder / UNSEEN
    if marker.is_file():
        return Record.load(Path(read(marker)["record"]))
    say(f"the unseen suite, {run.name}: {mix.unseen.reason}")
    asked = Look(reason=mix.unseen.reason, asked_by="hook", final=True, family=mix.name)
    record = evaluated(mix.unseen, run.folder / FINAL, out, asked)
    write_atomically(marker, dumps({"record": str(record.folder.resolve())}) + "\n")
    return record


def end(mix: Mix, out: Path, records: list[Record], looks: list[Record], say: Say) -> None:
    """Compare, propose, and write everything that is read of a round."""
    count = len(mix.variants)
    finished_round = Finished.of(mix, by_variant(records, count), by_variant(looks, count))
    advice = advice_on(finished_round, mix.weights)
    file = write_proposal(mix, advice, out)
    finished_round.write(round_folder(out, mix.mixing.round) / ROUND, out, advice)
    page = write_results(mix, out)
    for line in (
        f"round {mix.mixing.round} of {mix.name}: {changes_text(advice)}",
        f"proposed, with the reasons: {file}",
        f"page: {page}",
    ):
        say(line)


def by_variant(records: list[Record], count: int) -> list[list[Record]]:
    """Records in the order of the trainings, as one list a variant, one record a seed."""
    return [records[place::count] for place in range(count)] if records else []
