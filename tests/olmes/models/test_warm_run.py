"""A second run with a warm cache: neither weights nor the libraries that would load them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.models.checkpoint import folder as files
from olmes.models.checkpoint.folder import LocalCheckpoint, load_config, window_of
from olmes.models.hf.model import HFModel
from olmes.types import Request

if TYPE_CHECKING:
    from olmes.types import Request


SCRIPT = """
import json, sys
from olmes import evaluate

model, out, shots = sys.argv[1:]
settings = {"gsm8k.shots": int(shots), "gsm8k.max_tokens": 6}
record = evaluate("gsm8k", model=model, settings=settings, out=out, limit=3, scoring_processes=1)
loaded = [name for name in ("torch", "transformers", "tokenizers") if name in sys.modules]
print(json.dumps({"folder": str(record.folder), "loaded": loaded, "cost": record.to_json()["cost"]}))
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)


def run(model: Path, out: Path, shots: int = 1) -> dict[str, Any]:
    command = [sys.executable, "-c", SCRIPT, str(model), str(out), str(shots)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_second_run_imports_nothing_heavy(tiny_folder: Path, tmp_path: Path) -> None:
    if not files.cpu_alone():
        pytest.skip("needs the CPU build of torch: another is asked which devices there are")
    first, second = (run(tiny_folder, tmp_path / name) for name in "ab")
    assert first["loaded"] == ["torch", "transformers", "tokenizers"]
    assert second["loaded"] == []
    assert (second["cost"]["requests"], second["cost"]["reused"]) == (0, 3)
    samples = [Path(one["folder"]) / "samples/gsm8k.jsonl" for one in (first, second)]
    assert samples[0].read_bytes() == samples[1].read_bytes()
    assert Path(first["folder"]).name == Path(second["folder"]).name
    # Other prompts are no such requests, and are made with the tokenizer.
    assert "tokenizers" in run(tiny_folder, tmp_path / "c", shots=2)["loaded"]


def test_stored_keys_are_those_that_would_be_made(
    tiny_folder: Path, chat: Callable[..., Request]
) -> None:
    from olmes.requests.response_cache import ResponseCache, ResponseKeys, response_key

    cache = ResponseCache()
    requests = [chat("hello"), chat("hello", prefill="So"), chat("hello", temperature=0.5)]
    for _ in range(2):
        model = HFModel("tiny", LocalCheckpoint(tiny_folder), device="cpu")
        keys = ResponseKeys(model, cache)
        made = [response_key(model, model.engine, request) for request in requests]
        assert [keys.key(request) for request in requests] == made
    assert len(set(made)) == len(requests)


def test_another_template_makes_other_keys(
    build: Callable[..., Path], tmp_path: Path, chat: Callable[..., Request]
) -> None:
    from olmes.requests.response_cache import ResponseCache, ResponseKeys

    cache = ResponseCache()
    plain = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    folders = [build(tmp_path / "a"), build(tmp_path / "b", template=plain)]
    models = [HFModel("one", LocalCheckpoint(folder), device="cpu") for folder in folders]
    assert len({ResponseKeys(model, cache).key(chat("hello")) for model in models}) == 2


def test_the_window_is_remembered_as_transformers_sees_it(
    build: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build(tmp_path / "model", config={"max_position_embeddings": 96})
    own = load_config("model", folder).max_position_embeddings
    assert window_of("model", folder, None) == own == 96
    monkeypatch.setattr(files, "load_config", lambda *_: pytest.fail("asked again"))
    assert window_of("model", folder, None) == 96
    assert window_of("model", folder, 32) == 32
    assert window_of("model", folder, 500) == 96
