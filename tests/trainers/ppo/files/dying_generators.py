"""Generators whose processes die or fail, in a module that a spawned process can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from olmes.trainers.ppo.rollout import Order, Rollout, TransformersGenerator


class Once(TransformersGenerator):
    """Ended or stopped in the middle of the order for position 8, the first time it is made."""

    mark = Path()
    how = signal.SIGKILL

    def generate(self, order: Order) -> list[Rollout]:
        rollouts: list[Rollout] = super().generate(order)
        if order.positions[0] == 8 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), self.how)
        return rollouts


def once(
    model: Any, prompts: Any, sampling: Any, version: int, *, mark: Path,
    how: signal.Signals = signal.SIGKILL,
) -> Once:  # fmt: skip
    """A `Once` that remembers in a file."""
    generator = Once(model, prompts, sampling, version)
    generator.mark = mark
    generator.how = how
    return generator


class Hopeless(TransformersGenerator):
    """Killed in every order."""

    def generate(self, order: Order) -> list[Rollout]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []


class Faulty(TransformersGenerator):
    """Raises."""

    def generate(self, order: Order) -> list[Rollout]:
        raise ZeroDivisionError("the seventh token")


class Slow(TransformersGenerator):
    """Takes a second for each order."""

    def generate(self, order: Order) -> list[Rollout]:
        time.sleep(1)
        rollouts: list[Rollout] = super().generate(order)
        return rollouts
