"""What a generator process runs: a copy of the policy that takes orders and sends rollouts."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from olmes.errors import OlmesError
from olmes.trainers.ppo.rollout import Generator, Order, Rollout, Sampling
from olmes.trainers.ppo.weights import SharedWeights, load_weights

if TYPE_CHECKING:
    from torch import Tensor

Engine = Literal["transformers", "vllm"]
BEAT = 0.5
"""Seconds between two signs of life."""
MakeGenerator = Callable[[Any, Sequence[tuple[int, ...]], Sampling, int], Generator]
"""`(model, prompts, sampling, version) -> Generator`; `TransformersGenerator` is one."""


@dataclass(frozen=True, slots=True)
class WorkerFailure:
    """An error in a generator that would come again: it is raised in the learner's process."""

    trace: str
    sentence: str = ""
    """What the user can do about it, where it is no fault of the program's."""


@dataclass(frozen=True, slots=True)
class GeneratorRecipe:
    """How to make a generator elsewhere; can be pickled."""

    model_class: Any
    model_config: Any
    dtype: Any
    prompts: Sequence[tuple[int, ...]]
    sampling: Sampling
    make: MakeGenerator
    device: str
    autocast: bool
    """Whether forward passes run in bf16 as the learner's do."""
    engine: Engine = "transformers"
    """What generates; of vLLM, `make` is not used."""
    memory: float = 1.0
    """vLLM: share of its GPU's memory."""
    window: int = 0
    """Tokens of the longest prompt and its response."""

    def model(self) -> Any:
        """The policy's architecture; its weights come with the first version."""
        model = self.model_class._from_config(self.model_config, dtype=self.dtype)
        return model.to(self.device).eval()


class GenerationWorker:
    """A model and its generator; the same class runs in a local process and in a Ray actor."""

    def __init__(self, recipe: GeneratorRecipe) -> None:
        self.recipe = recipe
        self.model: Any = None
        self.generator: Generator
        if recipe.engine == "vllm":
            from olmes.trainers.ppo.vllm_generator import VLLMGenerator

            self.generator = VLLMGenerator(recipe)
        else:
            self.model = recipe.model()
            self.generator = recipe.make(self.model, recipe.prompts, recipe.sampling, -1)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take a version's weights."""
        if self.model is None:
            engine: Any = self.generator
            engine.load(tensors)
        else:
            load_weights(self.model, tensors)

    def generate(self, order: Order, version: int) -> list[Rollout]:
        """Rollouts for an order; the model holds `version` by now."""
        import torch

        self.generator.version = version
        if self.model is None:
            return self.generator.generate(order)
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.recipe.autocast):
            rollouts: list[Rollout] = self.generator.generate(order)
        return rollouts


def serve(connection: Any, recipe: GeneratorRecipe, weights: SharedWeights, beats: Any) -> None:
    """Take orders from the pipe until it closes; before each, take the newest weights.

    Args:
        connection: the learner's pipe.
        recipe: of the generator.
        weights: shared with the learner.
        beats: a shared number, (1,), that is counted up as long as this process runs.
    """
    # Ctrl-C reaches the whole terminal group; the learner decides when generators end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    threading.Thread(target=beat, args=(beats,), daemon=True).start()
    try:
        worker = GenerationWorker(recipe)
        version = -1
        while True:
            order = connection.recv()
            version = weights.read(worker, version, GenerationWorker.load)
            connection.send(worker.generate(order, version))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    # Nothing is swallowed: whatever it was is raised in the learner's process.
    except OlmesError as error:
        connection.send(WorkerFailure(traceback.format_exc(), str(error)))
    except Exception:
        connection.send(WorkerFailure(traceback.format_exc()))


def beat(beats: Any) -> None:
    """Give signs of life: a stopped process is one that gives none."""
    while True:
        beats += 1
        time.sleep(BEAT)


def end_with_parent() -> None:
    """End this process when the learner's is gone, in the middle of a batch too."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
