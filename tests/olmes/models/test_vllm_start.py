"""How vLLM is started: its options, its window, its GPU, and what its errors become.

Against a stand-in named as one (`files/stub_vllm.py`); `test_vllm.py` has the real engine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.models.spec import load_model
from olmes.models.vllm_options import parse_target
from olmes.models.vllm_start import on_device, window_for
from olmes.types import Generation, Request, Response

STUB = Path(__file__).parent / "files/stub_vllm.py"
KV = (
    "To serve at least one request with the model's max seq len (131072), (16.00 GiB KV cache is "
    "needed, which is larger than the available KV cache memory (5.21 GiB). Based on the available "
    "memory, the estimated maximum model length is 42688. Try increasing `gpu_memory_utilization` or "
    "decreasing `max_model_len` when initializing the engine."
)
CAUSES = [
    (KV, "--max-length 42688"),
    (
        "The model's max seq len (131072) is larger than the maximum number of tokens that can be "
        "stored in KV cache (26064). Try increasing `gpu_memory_utilization` or ...",
        "--max-length 26064",
    ),
    ("No available memory for the cache blocks. Try increasing `gpu_memory_utilization`", "=0.95"),
    (
        "Free memory on device cuda:0 (3.2/79.1 GiB) on startup is less than desired GPU memory "
        "utilization (0.9, 71.19 GiB).",
        "only 3.2 of the GPU's 79.1 GiB are free",
    ),
    ("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...", "tensor_parallel_size=2"),
    (
        "Total number of attention heads (14) must be divisible by tensor parallel size (4).",
        "divides 14",
    ),
    ("World size (4) is larger than the number of available GPUs (1) in this node.", "fewer GPUs"),
    (
        "Model architectures ['OddForCausalLM'] are not supported for now. Supported ...",
        "does not know the architecture OddForCausalLM; use hf:",
    ),
    ("Failed to infer device type, please set the environment variable ...", "finds no GPU"),
    ("No CUDA GPUs are available", "finds no GPU"),
    ("Bfloat16 is only supported on GPUs with compute capability of at least 8.0.", "float16"),
    ("LLM(data_parallel_size=2) is not supported for single-process usage", "--workers N"),
    ("Unknown quantization method: foo. Must be one of ...", "quantization"),
    ("EngineArgs.__init__() got an unexpected keyword argument 'swap_space'", "option swap_space"),
    ("set the option `trust_remote_code=True` to remove this error.", "--trust-remote-code"),
]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Any]]]:
    """Puts the stand-in where vLLM would be; gives what its engines were started with."""
    package = tmp_path / "site/vllm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(STUB.read_text("utf-8"), "utf-8")
    (package / "sampling_params.py").write_text(
        "from types import SimpleNamespace\nRequestOutputKind = SimpleNamespace(FINAL_ONLY=1)\n"
    )
    (package / "platforms.py").write_text(
        "class current_platform:\n    is_cpu = staticmethod(lambda: True)\n"
    )
    metadata = tmp_path / "site/vllm-0.stub.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.stub\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("STUB_NOTES", str(tmp_path / "notes.jsonl"))
    yield lambda: [json.loads(line) for line in (tmp_path / "notes.jsonl").read_text().splitlines()]
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        del sys.modules[name]


def asked(tokens: int = 4, text: str = "hello") -> Request:
    return Request(
        generation=Generation(max_tokens=tokens), messages=({"role": "user", "content": text},)
    )


def started(folder: Path, target: str = "", **options: Any) -> Any:
    return load_model(f"vllm:{folder}{target}", device="cpu", **options)


@pytest.mark.parametrize(("said", "meant"), CAUSES, ids=[meant for _, meant in CAUSES])
@pytest.mark.parametrize("variable", ["STUB_FAILS", "STUB_CORE_FAILS"])
def test_a_failed_start_is_one_sentence_with_our_options(
    said: str,
    meant: str,
    variable: str,
    notes: object,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    trace = (
        f"(EngineCore pid=7) ERROR [core.py:9] Traceback (most recent ...):\nValueError: {said}\n"
    )
    monkeypatch.setenv(variable, trace if variable == "STUB_CORE_FAILS" else said)
    with pytest.raises(OlmesError) as caught:
        started(tiny_folder).generate([asked()], lambda *_: None)
    message = str(caught.value)
    assert meant in message
    assert message.startswith("vLLM cannot start")
    assert "\n" not in message
    assert "max_model_len" not in message
    assert "Traceback" not in capfd.readouterr().err


def test_an_unknown_failure_shows_its_reason_and_its_messages(
    notes: object, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("STUB_CORE_FAILS", "ERROR 7\nKeyError: the moon is full\n")
    with pytest.raises(OlmesError, match="KeyError: the moon is full; its messages are above"):
        started(tiny_folder).generate([asked()], lambda *_: None)
    assert "ERROR 7" in capfd.readouterr().err


def test_an_engine_that_dies_is_one_sentence(
    notes: object, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_DIES", "CUDA out of memory. Tried to allocate")
    with pytest.raises(OlmesError, match="vLLM ended .*the same command resumes"):
        started(tiny_folder).generate([asked()], lambda *_: None)


def test_the_window_is_what_the_requests_need(
    notes: Callable[[], list[Any]], build: Callable[..., Path], tmp_path: Path,
    answer: Callable[..., list[Response]],
) -> None:  # fmt: skip
    folder = build(tmp_path / "wide", config={"max_position_embeddings": 131_072})
    model = started(folder)
    assert model.engine["max_length"] == 131_072
    answer(model, [asked(), asked(64)])
    answer(model, [asked(1500)])
    assert [note["max_model_len"] for note in notes()] == [2048]  # the same engine answered
    answer(model, [asked(5000)])
    assert [note["max_model_len"] for note in notes()] == [2048, 5120]
    answer(started(folder, max_length=4096), [asked()])
    answer(started(folder, "?max_model_len=8192"), [asked()])
    assert [note["max_model_len"] for note in notes()][2:] == [4096, 8192]


def test_a_rope_that_depends_on_the_window_keeps_it() -> None:
    need, window = 100, 131_072
    assert window_for(need, window, SimpleNamespace(rope_scaling=None)) == 2048
    assert window_for(need, window, SimpleNamespace(rope_scaling={"rope_type": "yarn"})) == 2048
    for kept in (
        SimpleNamespace(rope_scaling={"type": "longrope"}),
        SimpleNamespace(rope_parameters={"full_attention": {"rope_type": "dynamic"}}),
    ):
        assert window_for(need, window, kept) == window
    assert window_for(need, 512, SimpleNamespace()) == 512
    assert window_for(need, None, SimpleNamespace()) is None


def test_options_are_the_engines_own_or_named_where_they_belong(
    notes: Callable[[], list[Any]], tiny_folder: Path, answer: Callable[..., list[Response]]
) -> None:
    target = "?quantization=fp8&kv-cache-dtype=fp8&seed=3&enforce_eager=false&max_num_seqs=7"
    model = started(tiny_folder, target)
    answer(model, [asked()])
    [note] = notes()
    given = {"quantization": "fp8", "kv_cache_dtype": "fp8", "seed": 3, "enforce_eager": False}
    assert given.items() <= note.items()
    assert given.items() <= model.engine.items()  # part of the identity
    assert note["max_num_seqs"] == 7
    assert parse_target("a?data_parallel_size=1") == ("a", {})
    for wrong, remedy in (
        ("a?data_parallel_size=2", "--workers N"),
        ("a?dtype=float16", "--dtype"),
        ("a?trust_remote_code=true", "--trust-remote-code"),
        ("a?gpu_memory_utilization=90", "share above 0"),
        ("a?tensor_parallel_size=0", "give 1 or more"),
        ("a?enforce_eager=perhaps", "true or false"),
        ("a?quantization=", "give a value"),
        ("a?speed=2", "the options are"),
    ):
        with pytest.raises(OlmesError, match=remedy):
            parse_target(wrong)
    with pytest.raises(OlmesError, match="give one of them"):
        started(tiny_folder, "?max_model_len=100", max_length=50)


def test_a_device_is_given_to_the_engine_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with on_device("cuda:1", 1):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    with on_device("cuda:1", 1):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-7"
    with on_device("cuda", 2):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,GPU-7"
    for device, gpus in (("auto", 1), ("mps", 1), ("cuda:1", 2)):
        with pytest.raises(OlmesError, match="leave"), on_device(device, gpus):
            pass


def test_a_build_for_gpus_on_a_machine_without_one(
    notes: object, tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "site/vllm/platforms.py").write_text(
        "class current_platform:\n    is_cpu = staticmethod(lambda: False)\n"
    )
    with pytest.raises(OlmesError, match="vLLM finds no GPU"):
        started(tiny_folder).generate([asked()], lambda *_: None)


def test_the_command_ends_with_the_sentence(
    notes: object, tiny_folder: Path, tmp_path: Path
) -> None:
    command = [
        *(sys.executable, "-m", "olmes", "run", "--task", "gsm8k", "--limit", "1"),
        *("--model", f"vllm:{tiny_folder}", "--device", "cpu", "--out", str(tmp_path / "runs")),
        *("--no-cache", "--set", "gsm8k.max_tokens=8"),
    ]
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PYTHONPATH": path, "STUB_FAILS": KV, "OLMES_OFFLINE": "1"},
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert "--max-length 42688" in ended.stderr
    assert "internal error" not in ended.stderr
