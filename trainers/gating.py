"""The gate at a training's end: its last checkpoint against a run, by the recipe's [gate]."""

from __future__ import annotations

from pathlib import Path

from olmes.comparison.gate import EXIT_STATUS, gate, write_down
from olmes.comparison.policy import Policy
from olmes.errors import OlmesError
from olmes.records.record import Record
from olmes.tools import jsonl
from olmes.trainers.recipes.files import START
from olmes.trainers.recipes.stages import Recipe
from olmes.trainers.stage import Say
from olmes.trainers.train_log import scored_rows


def check_gate(recipe: Recipe, start: Path | None) -> None:
    """Refuse before the training what the gate would refuse after it.

    Args:
        recipe: with its [gate].
        start: where the record of the model that a chain starts from is named; None outside a chain.

    Raises:
        OlmesError: nothing is scored, or the baseline or the policy cannot be read.
    """
    if not recipe.gate.baseline:
        return
    if not recipe.scoring.target:
        raise OlmesError("[gate] needs scores of the last checkpoint; name a suite in [scoring].")
    if recipe.gate.policy:
        Policy.read(Path(recipe.gate.policy))
    if recipe.gate.baseline != START:
        Record.load(recipe.gate.baseline)
    elif start is None:
        raise OlmesError(
            f'gate.baseline = "{START}" is for a chain that scores the model it starts from; give the '
            "folder of a run."
        )


def gate_last(recipe: Recipe, out: Path, store: Path, start: Path | None, say: Say) -> int:
    """Gate the last scored checkpoint of a training, and keep the outcome in its record.

    Args:
        recipe: with its [gate].
        out: the stage's folder.
        store: where the records of its checkpoints lie.
        start: as for `check_gate`.
        say: gets the outcome.

    Returns:
        The exit status of `olmes gate`: 0 without a gate, 3 where the checkpoint has no score.

    Raises:
        OlmesError: the baseline, the policy or the record cannot be read.
    """
    if not recipe.gate.baseline:
        return 0
    scored = scored_rows(out, store)
    if not scored:
        say("gate: inconclusive, no checkpoint has a score; gate it by `olmes gate` once it has")
        return EXIT_STATUS["inconclusive"]
    _, folder = max(scored, key=lambda row: row[0])
    baseline = recipe.gate.baseline
    if baseline == START and start is not None:
        baseline = next(jsonl.read(start))["record"]
    a, b, path = Record.load(baseline), Record.load(folder), recipe.gate.policy
    result = gate(a, b, Policy.read(Path(path)) if path else None)
    write_down(result, b, a, path)
    for score in result.scores:
        if score.outcome != "pass":
            say(f"gate: {score.name}: {score.outcome}, {score.reason}")
    say(f"gate: {result.outcome}, {result.candidate} against {result.baseline}")
    return result.exit_status
