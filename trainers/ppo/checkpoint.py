"""Checkpoints: plain Hugging Face folders, with what a run needs to resume in a subfolder.

    checkpoint-N/             the policy after N updates, its tokenizer, trainer_state.json
    checkpoint-N/float32/     its weights, where the files above are of another precision
    checkpoint-N/ppo/         value.safetensors, optimizer.pt, run.json

A checkpoint is written under another name and renamed when all of it is on the disk: a folder named
checkpoint-N is complete, whenever the process was killed. No random state is stored, because all
seeds follow from the configuration and the counters.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.on_trl.precision import WHOLE, save_model
from olmes.trainers.ppo.config import PPOConfig

COMPLETE = re.compile(r"checkpoint-(\d+)")
PARTIAL = ".partial-checkpoint"


def checkpoints(output_dir: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    found = {
        int(match[1]): path
        for path in output_dir.glob("checkpoint-*")
        if (match := COMPLETE.fullmatch(path.name)) and (path / "ppo/run.json").is_file()
    }
    return [found[number] for number in sorted(found)]


def save(
    output_dir: Path, policy: Any, states: Any, tokenizer: Any, state: Any, config: PPOConfig,
    data: str,
) -> Path:  # fmt: skip
    """Write checkpoint-N for N = `state.global_step`; the older beyond the limit are removed.

    Args:
        output_dir: the run's folder.
        policy: the policy.
        states: of `Learner.states`: its weights where they are cut, value model and optimizer.
        tokenizer: saved with the policy.
        state: the `TrainerState` whose `log_history` has every update's numbers.
        config: stored, to be compared when the run resumes.
        data: hash of the prompts, likewise.
    """
    from safetensors.torch import save_file
    from torch import save as torch_save

    final = output_dir / f"checkpoint-{state.global_step}"
    partial = output_dir / f"{PARTIAL}-{state.global_step}"
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "ppo").mkdir(parents=True)
    save_model(policy, partial, config.checkpoint_precision, states.policy)
    if config.checkpoint_precision != "float32":
        policy.save_pretrained(partial / WHOLE, state_dict=states.policy)
    tokenizer.save_pretrained(partial)
    state.save_to_json(str(partial / "trainer_state.json"))
    value = {name: tensor.contiguous() for name, tensor in states.value.items()}
    save_file(value, partial / "ppo/value.safetensors")
    torch_save(states.optimizer, partial / "ppo/optimizer.pt")
    run = {"config": config.to_json(), "prompts": data}
    (partial / "ppo/run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    for path in [*partial.rglob("*"), partial]:
        flush(path)
    partial.rename(final)
    flush(output_dir)
    if config.save_total_limit:
        for old in checkpoints(output_dir)[: -config.save_total_limit]:
            # Renamed first, so that a half-removed folder is never taken for a checkpoint.
            shutil.rmtree(old.rename(output_dir / f"{PARTIAL}-old"))
    return final


def flush(path: Path) -> None:
    """Have the disk hold what was written, so that the rename cannot survive its content's loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(output_dir: Path) -> None:
    """Remove what a killed save left."""
    for leftover in output_dir.glob(f"{PARTIAL}-*"):
        shutil.rmtree(leftover)


def begin(output_dir: Path, config: PPOConfig, data: str) -> Path | None:
    """Remove what a killed save left, and find what a run resumes from, as `latest`."""
    remove_leftovers(output_dir)
    return latest(output_dir, config, data)


def latest(output_dir: Path, config: PPOConfig, data: str) -> Path | None:
    """The checkpoint a run resumes from; None for a new run.

    Raises:
        OlmesError: the folder holds another experiment.
    """
    found = checkpoints(output_dir)
    if not found:
        return None
    run: Mapping[str, Any] = json.loads((found[-1] / "ppo/run.json").read_text(encoding="utf-8"))
    if changed := config.differing(run["config"]):
        before = ", ".join(f"{name} = {value}" for name, value in changed.items())
        raise OlmesError(
            f"{output_dir} holds a run with {before}; put that back or choose another folder."
        )
    if run["prompts"] != data:
        raise OlmesError(
            f"{output_dir} holds a run on other prompts; put them back or choose another folder."
        )
    return found[-1]


def whole_policy(folder: Path) -> Path:
    """The folder of a checkpoint's policy in float32."""
    return folder / WHOLE if (folder / WHOLE).is_dir() else folder


def restore(folder: Path, learner: Any) -> list[dict[str, float]]:
    """Load value model and optimizer into a learner made from the checkpoint's policy.

    Returns:
        The numbers logged so far.
    """
    from safetensors.torch import load_file
    from torch import load

    optimizer = load(folder / "ppo/optimizer.pt", map_location="cpu", weights_only=True)
    learner.restore(load_file(folder / "ppo/value.safetensors"), optimizer)
    state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    history: list[dict[str, float]] = state["log_history"]
    return history
