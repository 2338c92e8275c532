"""Code that lies in a model's folder: run when the user says so, and not otherwise."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from olmes.errors import OlmesError
from olmes.models.hf.model import HFModel
from olmes.models.options import Asking
from olmes.models.spec import load_model
from olmes.types import Generation, Request, Response

REQUEST = Request(generation=Generation(max_tokens=4), prompt="Mary")
CONFIG = """
from pathlib import Path
from transformers import LlamaConfig
Path({mark!r}).touch()

class MyConfig(LlamaConfig):
    model_type = "my_own"
"""
MODEL = """
from transformers import LlamaForCausalLM
from .configuration_my import MyConfig

class MyModel(LlamaForCausalLM):
    config_class = MyConfig
"""


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that the model's code makes when it is run."""
    return tmp_path / "was_run"


@pytest.fixture
def remote(tiny_folder: Path, tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny checkpoint as a type of its own, with the code for it."""
    from transformers.utils import hub

    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    modules = tmp_path / "modules"
    monkeypatch.setenv("HF_MODULES_CACHE", str(modules))
    for module in (
        "transformers.utils.hub",
        "transformers.dynamic_module_utils",
        "transformers.utils",
    ):
        if hasattr(sys.modules.get(module), "HF_MODULES_CACHE"):
            monkeypatch.setattr(sys.modules[module], "HF_MODULES_CACHE", str(modules))
    assert hub
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "remote"))
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {
        "model_type": "my_own",
        "architectures": ["MyModel"],
        "auto_map": {
            "AutoConfig": "configuration_my.MyConfig",
            "AutoModelForCausalLM": "modeling_my.MyModel",
        },
    }
    path.write_text(json.dumps(config))
    (folder / "configuration_my.py").write_text(CONFIG.format(mark=str(mark)))
    (folder / "modeling_my.py").write_text(MODEL)
    return folder


def test_without_the_option_nothing_is_run(remote: Path, mark: Path) -> None:
    model = load_model(str(remote), device="cpu")
    for use in (model.check, lambda: model.encode(REQUEST), lambda: model.engine):
        with pytest.raises(OlmesError, match="read it, and add --trust-remote-code"):
            use()
    assert not mark.exists()


def test_standard_input_is_left_alone(remote: Path, mark: Path, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom olmes.cli import main\n"
        f"sys.argv = ['olmes', 'run', '--task', 'gsm8k', '--limit', '1', '--model', {str(remote)!r},"
        f" '--out', {str(tmp_path / 'runs')!r}]\nmain()"
    )
    ended = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "$SCRIPT"; cat'],
        input="y\nsecond\n", capture_output=True, text=True, env=os.environ | {"SCRIPT": script},
    )  # fmt: skip
    assert ended.stdout.splitlines()[-2:] == ["y", "second"], ended.stderr
    assert "add --trust-remote-code" in ended.stderr
    assert "[y/N]" not in ended.stdout + ended.stderr
    assert not mark.exists()


def test_with_the_option_it_is_run_and_recorded(remote: Path, mark: Path) -> None:
    model = load_model(str(remote), device="cpu", asking=Asking(trust_remote_code=True))
    assert isinstance(model, HFModel)
    model.check()
    found: list[Response] = []
    model.generate([REQUEST], lambda _, response: found.append(response))
    assert found[0].completion_tokens > 0
    assert not found[0].error
    assert mark.exists()
    assert model.engine["trust_remote_code"] is True
    before = model.fingerprint
    (remote / "modeling_my.py").write_text(MODEL + "\nOTHER = 1\n")
    again = load_model(str(remote), device="cpu", asking=Asking(trust_remote_code=True))
    assert again.fingerprint != before
    assert "code" in again.fingerprint_parts


def test_a_type_that_transformers_knows_needs_no_code(remote: Path, tiny_folder: Path) -> None:
    path = remote / "config.json"
    known = json.loads((tiny_folder / "config.json").read_text())
    path.write_text(json.dumps(known | {"auto_map": {"AutoConfig": "configuration_my.MyConfig"}}))
    model = load_model(str(remote), device="cpu")
    model.check()
    assert model.encode(REQUEST).token_ids


def test_the_encoder_of_a_judgement_runs_no_code(remote: Path, mark: Path) -> None:
    from olmes.judging.similarity import SimilarityEncoder

    with pytest.raises(OlmesError, match="the encoder .* cannot be loaded"):
        _ = SimilarityEncoder(str(remote)).config
    assert not mark.exists()
