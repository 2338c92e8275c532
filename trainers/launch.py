"""Several processes: the launch line of a recipe, printed and run: `accelerate`, `torchrun` on CPUs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence

from olmes.errors import OlmesError
from olmes.trainers.processes import launched
from olmes.trainers.recipes.stages import Recipe
from olmes.trainers.recipes.tables import Hardware
from olmes.trainers.trl_arguments import accumulation, on_processor

ACCELERATE = ("accelerate", "launch")
TORCHRUN = ("torchrun",)
MODULES = {ACCELERATE[0]: "accelerate.commands.launch", TORCHRUN[0]: "torch.distributed.run"}
PORT = "29500"
MARK = "OLMES_LAUNCHED"
"""Set for what is launched, so that it never launches itself again."""


def launch_line(recipe: Recipe, arguments: Sequence[str]) -> list[str]:
    """The command that trains a recipe in its number of processes.

    Checkpoints are written whole, whatever shards the weights, so that they can be scored.

    Args:
        recipe: its `hardware` is read.
        arguments: of `olmes`.
    """
    hardware = recipe.hardware
    if on_processor(recipe):  # accelerate's own launcher for CPUs needs an MPI
        share = hardware.processes // hardware.machines
        line = [*TORCHRUN, "--nproc_per_node", str(share), "--nnodes", str(hardware.machines)]
        if hardware.machines > 1:
            line += ["--node_rank", "$RANK", "--master_addr", "$HOST", "--master_port", PORT]
        return [*line, "-m", "olmes", *arguments]
    line = [
        *ACCELERATE,
        "--num_processes", str(hardware.processes),
        "--num_machines", str(hardware.machines),
        "--mixed_precision", "no",  # the recipe's precision is the trainer's own setting
        "--dynamo_backend", "no",
    ]  # fmt: skip
    if hardware.machines > 1:
        line += ["--machine_rank", "$RANK", "--main_process_ip", "$HOST"]
        line += ["--main_process_port", PORT]
    return [*line, *sharding(recipe, hardware), "-m", "olmes", *arguments]


def sharding(recipe: Recipe, hardware: Hardware) -> list[str]:
    """The flags of a strategy; PPO shards by itself (`trainers/ppo/sharding.py`)."""
    by_itself = getattr(recipe, "algorithm", "") == "ppo"
    if hardware.strategy == "fsdp" and not by_itself:
        return [
            "--use_fsdp",
            "--fsdp_version", "2",
            "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP",
            "--fsdp_reshard_after_forward", "true",
            "--fsdp_state_dict_type", "FULL_STATE_DICT",
        ]  # fmt: skip
    if hardware.strategy in ("zero2", "zero3"):
        return [
            "--use_deepspeed",
            "--zero_stage", hardware.strategy[-1],
            "--zero3_save_16bit_model", "true",
            "--zero3_init_flag", "false",
            "--gradient_accumulation_steps", str(steps_between(recipe)),
        ]  # fmt: skip
    return ["--multi_gpu"] if hardware.processes > 1 else []


def steps_between(recipe: Recipe) -> int:
    """Micro-batches of each process for one update, once it is launched."""
    if launched():
        return accumulation(recipe)
    step = recipe.optimization
    return step.batch_size // (step.micro_batch_size * recipe.hardware.processes)


def launch(recipe: Recipe, arguments: Sequence[str], *, say: Callable[[str], None]) -> None:
    """Print the line and run it.

    Raises:
        OlmesError: it is for several machines, or a process of it failed.
    """
    if MARK in os.environ:
        raise OlmesError(
            f"the launcher did not start {recipe.hardware.processes} processes; compare "
            "hardware.processes with this machine."
        )
    line = launch_line(recipe, arguments)
    say(f"launching: {shown(line)}")
    if recipe.hardware.machines > 1:
        raise OlmesError(
            f"this training is for {recipe.hardware.machines} machines; run the line above on each, "
            "with its RANK (0 is the first) and the first one's HOST."
        )
    begin = len(TORCHRUN if line[0] == TORCHRUN[0] else ACCELERATE)
    command = [sys.executable, "-m", MODULES[line[0]], *line[begin:]]
    ended = subprocess.run(command, check=False, env={**os.environ, MARK: "1"})
    if ended.returncode:
        raise OlmesError(
            "a process of the training failed (its lines are above); the same command resumes from "
            "the last checkpoint."
        )


def shown(line: Sequence[str]) -> str:
    """A command as one types it; `$RANK` and `$HOST` stay for the shell."""
    return " ".join(part if part.startswith("$") else shlex.quote(part) for part in line)
