"""The tests' own launcher runs the true command, alone and in a group."""

from __future__ import annotations

from tests.trainers.conftest import Workshop
from tests.trainers.launching import Launcher

RECIPE = """
model = "{model}"
template = "tulu"
max_length = 64
[data]
"sft.jsonl" = {{ fraction = 1.0 }}
[optimization]
learning_rate = 1e-3
batch_size = 8
micro_batch_size = 4
max_steps = 2
[hardware]
device = "cpu"
processes = {processes}
"""


def test_two_processes_train_together(launcher: Launcher, workshop: Workshop) -> None:
    folder = workshop.folder
    for processes in (1, 2):
        recipe = folder / f"in-{processes}.toml"
        recipe.write_text(RECIPE.format(model=workshop.model, processes=processes))
        running = launcher.start(["train", "sft", recipe], folder, processes=processes)
        assert running.good().count("sft done") == 1
        assert (folder / f"trained/in-{processes}/final/model.safetensors").is_file()
