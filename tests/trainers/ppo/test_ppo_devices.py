"""Which GPU a generator computes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from olmes.trainers.ppo.devices import spread
from olmes.trainers.ppo.ray_actors import RayWorkers
from olmes.trainers.ppo.worker import GeneratorRecipe


@pytest.mark.parametrize(
    ("devices", "learners", "expected"),
    [
        (8, 7, ["cuda:7", "cuda:7", "cuda:7"]),  # as published: seven learn, one generates
        (8, 4, ["cuda:4", "cuda:5", "cuda:6"]),
        (4, 2, ["cuda:2", "cuda:3", "cuda:2"]),
        (2, 1, ["cuda:1", "cuda:1", "cuda:1"]),
        (2, 2, ["cuda:1", "cuda:1", "cuda:1"]),  # none is free: the last is shared
        (1, 1, ["cuda:0", "cuda:0", "cuda:0"]),
    ],
)
def test_generators_are_spread_over_gpus_that_no_learner_uses(
    devices: int, learners: int, expected: list[str]
) -> None:
    assert [spread(number, devices, learners) for number in range(3)] == expected


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "cpu"])
def test_an_actor_sees_its_own_gpu_as_the_first(device: str) -> None:
    """Ray is stood in for: there is no GPU here that an actor could be given."""
    asked: dict[str, Any] = {}

    class Stand:
        def remote(self, **options: Any) -> Any:
            asked.update(options)
            return lambda _: SimpleNamespace(remote=lambda recipe, *_: recipe)

    workers = object.__new__(RayWorkers)
    workers.ray = Stand()
    workers.version, workers.reference = 0, None
    workers.recipe = GeneratorRecipe(None, None, None, (), None, None, device, False)  # type: ignore[arg-type]
    recipe = workers.start()
    on_gpu = device != "cpu"
    assert recipe.device == ("cuda:0" if on_gpu else "cpu")
    assert asked["num_gpus"] == int(on_gpu)
