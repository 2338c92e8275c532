"""Names of models, where their files are, and what is said when something is wrong with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.errors import OlmesError
from olmes.models.base import Model
from olmes.models.checkpoint.folder import Checkpoint, HubCheckpoint, LocalCheckpoint
from olmes.models.checkpoint.smollm2 import EmbeddedCheckpoint
from olmes.models.hf.model import HFModel
from olmes.models.replay import ReplayModel
from olmes.models.spec import Backend, ModelSpec, load_model, parse_spec
from olmes.types import Generation, Request

if TYPE_CHECKING:
    from olmes.types import Response

REQUEST = Request(generation=Generation(max_tokens=3), prompt="Mary")


@pytest.mark.parametrize(
    ("text", "backend", "target"),
    [
        ("owner/name", "hf", "owner/name"),
        ("hf:owner/name", "hf", "owner/name"),
        ("/no/such/folder", "hf", "/no/such/folder"),
        ("smollm2", "smollm2", ""),
        ("replay:some/file.jsonl", "replay", "some/file.jsonl"),
        ("replay:C:/file.jsonl", "replay", "C:/file.jsonl"),
    ],
)
def test_specs_are_parsed(text: str, backend: Backend, target: str) -> None:
    assert parse_spec(text) == ModelSpec(backend, target, text)


def test_a_folder_goes_before_a_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("run:3", "replay:x", "vllm:y"):
        Path(name).mkdir()
        assert parse_spec(name) == ModelSpec("hf", name, name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no model is named"),
        ("hf:", "names no model"),
        ("replay:", "names no model"),
        ("vllm:name?speed=2", "'vllm:' has no option 'speed'"),
        ("openai:gpt@localhost:1", "start it with http://"),
        ("gguf:file", "'gguf:' is not a backend; the backends are hf:, replay:, vllm:, openai:"),
        (r"C:\models\mine", "'C:' is not a backend"),
        ("smollm2:x", "'smollm2:' is not a backend"),
        ("./missing", "there is no folder missing"),
        ("/no/such/folder", "there is no folder /no/such/folder"),
        ("a/b/c", "there is no folder a/b/c"),
        ("replay:missing.jsonl", "there is no file missing.jsonl"),
        ("hf:missing name", "there is no folder"),
    ],
)
def test_names_that_lead_nowhere_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(OlmesError) as caught:
        load_model(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def checkpoint_of(model: Model) -> Checkpoint:
    assert isinstance(model, HFModel)
    return model.checkpoint


def test_the_right_backend_is_made(tiny_folder: Path, tmp_path: Path) -> None:
    local = load_model(str(tiny_folder), device="cpu", max_length=50, dtype="bfloat16")
    assert isinstance(local, HFModel)
    assert local.name == str(tiny_folder)
    assert local.checkpoint == LocalCheckpoint(tiny_folder)
    assert local.engine["max_length"] == 50
    assert local.engine["dtype"] == "bfloat16"
    named = load_model(f"hf:{tiny_folder}")
    assert (named.name, checkpoint_of(named)) == (local.name, local.checkpoint)
    assert checkpoint_of(load_model("owner/name")) == HubCheckpoint("owner/name")
    assert checkpoint_of(load_model("gpt2")) == HubCheckpoint("gpt2")
    embedded = load_model("smollm2", batch_size=3)
    assert isinstance(embedded, HFModel)
    assert embedded.checkpoint == EmbeddedCheckpoint()
    assert (embedded.name, embedded.batch_size) == ("smollm2", 3)
    recording = tmp_path / "a.jsonl"
    recording.write_text("")
    replay = load_model(f"replay:{recording}")
    assert isinstance(replay, ReplayModel)
    assert replay.path == recording


def test_a_home_folder_is_found(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tiny_folder.parent))
    assert checkpoint_of(load_model(f"~/{tiny_folder.name}")) == LocalCheckpoint(tiny_folder)


def test_folders_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OlmesError, match=r"has no config\.json"):
        load_model(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(OlmesError, match="is an adapter; merge it"):
        load_model(str(tmp_path)).encode(REQUEST)
    (tmp_path / "model.gguf").write_text("")
    with pytest.raises(OlmesError, match="is a file"):
        load_model(str(tmp_path / "model.gguf"))


def test_making_a_model_imports_nothing_heavy(tiny_folder: Path) -> None:
    script = (
        "import sys; from olmes.models.spec import load_model; import olmes.models.replay; "
        f"load_model({str(tiny_folder)!r}); load_model('owner/name'); load_model('smollm2'); "
        "heavy = {'torch', 'transformers', 'numpy', 'gguf', 'huggingface_hub', 'jinja2'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(("chosen", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_idle_threads_do_not_spin_unless_the_user_says_so(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, found: str
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if chosen:
        monkeypatch.setenv("OMP_WAIT_POLICY", chosen)
    load_model("owner/name")
    assert os.environ.pop("OMP_WAIT_POLICY") == found


def test_the_engine_says_what_changes_outputs(tiny: HFModel) -> None:
    import torch
    import transformers

    assert tiny.engine == {
        "backend": "hf",
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "dtype": "float32",
        "device": "cpu",
        "max_length": 256,
    }


def test_precision_is_float32_on_a_cpu_unless_asked_otherwise(
    tmp_path: Path, build: Callable[..., Path]
) -> None:
    checkpoint = LocalCheckpoint(build(tmp_path, config={"dtype": "bfloat16"}))

    def engine(**options: Any) -> Any:
        return HFModel("tiny", checkpoint, device="cpu", **options).engine["dtype"]

    assert engine() == "float32"
    assert engine(dtype="auto") == "bfloat16"
    assert engine(dtype="float16") == "float16"
    assert str(HFModel("t", checkpoint, device="cpu").weights.dtype) == "torch.float32"
    half = HFModel("t", checkpoint, device="cpu", dtype="auto")
    assert str(half.weights.dtype) == "torch.bfloat16"


def test_impossible_options_are_refused(tiny_folder: Path) -> None:
    checkpoint = LocalCheckpoint(tiny_folder)
    with pytest.raises(OlmesError, match="no dtype 'int3'; choose one of auto, float32"):
        _ = HFModel("tiny", checkpoint, dtype="int3").engine
    for device in ("tpu", "cuda:99", "cpu:1"):
        with pytest.raises(OlmesError, match=f"no device '{device}' here; choose one of auto"):
            _ = HFModel("tiny", checkpoint, device=device).engine
    with pytest.raises(OlmesError, match="batch_size is 0"):
        HFModel("tiny", checkpoint, batch_size=0)


def without(name: str) -> Callable[[Path], None]:
    """Remove one tensor of the weights."""

    def change(folder: Path) -> None:
        from safetensors.numpy import load_file, save_file

        tensors = load_file(folder / "model.safetensors")
        del tensors[name]
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return change


def cut_short(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def not_causal(folder: Path) -> None:
    config = {"model_type": "t5", "is_encoder_decoder": True}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("model.layers.1.mlp.up_proj.weight"), "lack 1 tensors .*layers.1.mlp.up_proj"),
        (cut_short, "the weights of 'mine' cannot be loaded"),
        (not_causal, "not a causal language model"),
        (lambda f: (f / "config.json").write_text('{"model_type": "nonesuch"}'), "nonesuch"),
        (lambda f: (f / "config.json").write_text("{"), "configuration of 'mine'"),
        (lambda f: (f / "model.safetensors").unlink(), "the weights of 'mine' cannot be loaded"),
        (lambda f: (f / "tokenizer.json").unlink(), "the tokenizer of 'mine' cannot be loaded"),
        (lambda f: (f / "adapter_config.json").write_text("{}"), "merge it into its base"),
    ],
)
def test_broken_checkpoints_are_refused_in_one_line(
    tiny_folder: Path, tmp_path: Path, change: Callable[..., Any], message: str
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "mine"))
    change(folder)
    model = HFModel("mine", LocalCheckpoint(folder), device="cpu")
    with pytest.raises(OlmesError, match=message) as caught:
        model.generate([REQUEST], lambda *_: None)
    assert "\n" not in str(caught.value)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache with one repository `owner/tiny` in it; there is no network."""
    from huggingface_hub import constants

    repository = tmp_path / "hub" / "models--owner--tiny"
    shutil.copytree(tiny_folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return repository / "snapshots" / COMMIT


def test_a_cached_hub_repository_is_the_same_model(
    hub: Path, tiny: HFModel, answer: Callable[..., list[Response]]
) -> None:
    model = load_model("owner/tiny", device="cpu")
    assert checkpoint_of(model).folder(weights=True) == hub
    assert answer(model, [REQUEST]) == answer(tiny, [REQUEST])
    assert model.fingerprint == tiny.fingerprint


def test_weights_are_asked_of_the_hub_only_when_needed(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked = []
    real = huggingface_hub.snapshot_download

    def noted(*args: Any, **kwargs: Any) -> Any:
        asked.append((kwargs["revision"], kwargs["allow_patterns"]))
        return real(*args, **kwargs)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", noted)
    model = load_model("owner/tiny", device="cpu")
    model.encode(REQUEST)
    assert not any("safetensors" in one for _, patterns in asked for one in patterns)
    _ = model.fingerprint
    assert asked[-1] == (COMMIT, ["model.safetensors"])


def test_a_repository_that_cannot_be_had_is_refused_in_one_line(hub: Path) -> None:
    model = load_model("owner/missing", device="cpu")
    with pytest.raises(
        OlmesError, match="there is no folder 'owner/missing', and the hub"
    ) as caught:
        model.encode(REQUEST)
    assert "\n" not in str(caught.value)
