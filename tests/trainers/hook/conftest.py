"""A tiny model to train, a suite of one small task, and a plain trainer as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from olmes.trainers.checkpoints.results import BestEntry

FILES = Path(__file__).parent / "files"
ECHO = Path(__file__).parents[2] / "olmes/files/echo_task.py"
TEMPLATE = (
    "{% for m in messages %}<u>{{ m['content'] }}<e>{% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}"
)


def build_base(folder: Path) -> Path:
    """A random Llama with a tokenizer of 259 tokens: bytes and three marks."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    marks = ["<e>", "<u>", "<a>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: at for at, token in enumerate([*marks, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(marks)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<e>", pad_token="<e>", chat_template=TEMPLATE
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=128, eos_token_id=0,
        bos_token_id=None, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that is trained; not to be changed."""
    return build_base(tmp_path_factory.mktemp("models") / "tiny-base")


@dataclass
class Lab:
    """A training with everything around it, in a folder of its own."""

    folder: Path
    base: Path
    suite: Path
    data: Path
    task: Path = ECHO

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def output_dir(self) -> Path:
        return self.folder / "out"

    @property
    def training(self) -> Path:
        """The training's folder in the store."""
        from olmes.trainers.checkpoints.request import training_folder

        return training_folder(self.runs, self.output_dir)

    def staged(self, label: str) -> Path:
        """Where a checkpoint's files were staged last."""
        from olmes.trainers.checkpoints.queue import Queue

        jobs = [job for job in Queue(self.training).jobs() if job.label == label]
        return self.training / jobs[-1].folder

    def all_staged(self) -> list[str]:
        """The checkpoints that are staged now."""
        return [path.name for path in self.training.glob(f"files/[!.]*/{self.output_dir.name}/*")]

    def hook(self, **options: Any) -> str:
        """The hook of the training script, as source."""
        given = {"out": str(self.runs), "data": str(self.data), "retry_delay": 0.1, **options}
        suite = given.pop("suite", str(self.suite))
        return f"ScoreCheckpoints({suite!r}, **{given!r})"

    def start(self, steps: int, every: int, hook: str = "", **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(FILES / "plain_trainer.py"), str(self.base)]
        return subprocess.Popen(
            [*command, str(self.output_dir), str(steps), str(every)],
            env={**os.environ, "HOOK": hook, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def train(self, steps: int, every: int, hook: str = "", **env: str) -> str:
        """Train to the end; what was printed."""
        process = self.start(steps, every, hook, **env)
        printed, _ = process.communicate(timeout=240)
        assert process.returncode == 0, printed
        assert f"trained {steps}" in printed, printed
        return printed

    def scores(self) -> list[dict[str, Any]]:
        """The lines of `scores.jsonl`."""
        text = (self.training / "scores.jsonl").read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def best(self) -> list[BestEntry]:
        text = (self.training / "best.json").read_text("utf-8")
        found: list[BestEntry] = json.loads(text)["best"]
        return found

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text("utf-8")) for path in self.runs.glob("*/run.json")]


@pytest.fixture
def lab(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A suite of the echo task with twelve documents."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OLMES_DATA", raising=False)
    data = tmp_path / "data"
    (data / "echo").mkdir(parents=True)
    rows = [json.dumps({"word": f"word{i}"}) + "\n" for i in range(12)]
    (data / "echo/test.jsonl").write_text("".join(rows), "utf-8")
    suite = tmp_path / "mini.toml"
    suite.write_text(f'name = "mini"\ntasks = ["{ECHO}"]\n', "utf-8")
    return Lab(tmp_path, base, suite, data)
