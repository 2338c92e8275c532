"""A tiny random Llama saved as a checkpoint folder, and the embedded model behind real servers."""

from __future__ import annotations

import importlib.util
import os
import runpy
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.hf.model import HFModel
from olmes.types import Generation, Request, Response

STARTING_SECONDS = 300
FAULTY_SERVER = Path(__file__).parent / "files/faulty_server.py"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT = (
    "Question: If Mary had 3 apples and bought 12 more, how many apples does she have?\n"
    "Answer: Mary has 15 apples. The answer is: (B).\n\nQuestion: What is the capital of France?\n"
    "Answer: Paris is the capital of France, a city of two million people on the river Seine.\n"
)


def build_tokenizer(*, adds_bos: bool = False, template: str | None = TEMPLATE) -> Any:
    """A byte-level BPE tokenizer with 369 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|bos|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT] * 4, trainer)
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|bos|> $A", special_tokens=[("<|bos|>", 3)]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        bos_token="<|bos|>" if adds_bos else None,
    )
    fast.chat_template = template
    return fast


def build_checkpoint(
    folder: Path,
    *,
    adds_bos: bool = False,
    template: str | None = TEMPLATE,
    decoding: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
) -> Path:
    """Save tokenizer and random weights, the same ones every time."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = build_tokenizer(adds_bos=adds_bos, template=template)
    tokenizer.save_pretrained(folder)
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        "pad_token_id": None,
        "initializer_range": 0.3,  # far from uniform, so that outputs are varied and stable
        **(config or {}),
    }
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**settings))
    model.to(getattr(torch, settings.get("dtype", "float32")))
    model.generation_config = GenerationConfig(
        **{"eos_token_id": tokenizer.eos_token_id, **(decoding or {})}
    )
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint; not to be changed."""
    return build_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> HFModel:
    """The model on the CPU; its settings are not to be changed."""
    return HFModel("tiny", LocalCheckpoint(tiny_folder), device="cpu", batch_size=4)


@pytest.fixture
def build() -> Callable[..., Path]:
    """`build_checkpoint`."""
    return build_checkpoint


@pytest.fixture
def answer() -> Callable[..., list[Response]]:
    """`answer(model, requests)`: the responses in the requests' order, each given exactly once."""

    def ask(model: HFModel, requests: list[Request]) -> list[Response]:
        found: dict[int, Response] = {}

        def done(index: int, response: Response) -> None:
            assert index not in found
            found[index] = response

        scored = any(request.continuations for request in requests)
        (model.loglikelihood if scored else model.generate)(requests, done)
        assert sorted(found) == list(range(len(requests)))
        return [found[index] for index in range(len(requests))]

    return ask


@pytest.fixture
def chat() -> Callable[..., Request]:
    """`chat(text, **generation)`: a request of one user turn."""

    def make(text: str, *, prefill: str = "", repeat: int = 0, **settings: Any) -> Request:
        generation = Generation(**{"max_tokens": 12, **settings})
        return Request(
            generation=generation,
            messages=({"role": "user", "content": text},),
            prefill=prefill,
            repeat=repeat,
        )

    return make


@pytest.fixture(scope="session")
def smollm2_folder() -> Path:
    """The embedded model's folder, converted into the user's cache like any user's."""
    from olmes.errors import OlmesError
    from olmes.models.checkpoint.smollm2 import embedded_folder

    try:
        return embedded_folder()
    except OlmesError as error:
        if "cannot be fetched" in str(error):
            pytest.skip(f"the embedded model is not here: {error}")
        raise


@pytest.fixture(scope="session")
def smollm2(smollm2_folder: Path) -> HFModel:
    """The embedded model on the CPU."""
    return HFModel("smollm2", LocalCheckpoint(smollm2_folder), device="cpu")


@dataclass(frozen=True)
class Served:
    """A running server."""

    program: str
    model: str
    url: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command_of(program: str, folder: Path, port: int) -> list[str]:
    """The command that serves a folder, or a skip with what is missing."""
    if program == "transformers":
        for needed in ("fastapi", "openai", "pydantic", "uvicorn"):
            if importlib.util.find_spec(needed) is None:
                pytest.skip(f"needs {needed} to serve a model; pip install {needed}")
        main = "from transformers.cli.transformers import main; main()"
        place = ["--port", str(port), "--host", "127.0.0.1", "--device", "cpu"]
        return [sys.executable, "-c", main, "serve", str(folder), *place, "--dtype", "float32"]
    vllm = os.environ.get("OLMES_VLLM") or shutil.which("vllm")
    if not vllm:
        pytest.skip("needs vLLM; put its command on the path or into $OLMES_VLLM")
    place = ["--port", str(port), "--host", "127.0.0.1", "--served-model-name", "smollm2"]
    return [vllm, "serve", str(folder), *place, "--dtype", "float32", "--max-model-len", "2048"]


@pytest.fixture(scope="session", params=["transformers", "vllm"])
def served(
    request: pytest.FixtureRequest,
    smollm2_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """The embedded model behind a real server in a process of its own."""
    port = free_port()
    command = command_of(request.param, smollm2_folder, port)
    home = tmp_path_factory.mktemp(
        "hub"
    )  # transformers' server lists the hub's cache as its models
    own = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(home), "VLLM_CPU_KVCACHE_SPACE": "1"}
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--enforce-eager"] if request.param == "vllm" else command,
            env=os.environ | own,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + STARTING_SECONDS
        while not healthy(port):
            assert process.poll() is None, log.read_text("utf-8", "replace")[-3000:]
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.5)
        name = "smollm2" if request.param == "vllm" else str(smollm2_folder)
        yield Served(request.param, name, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that answers as a test tells it to; no key and no proxy is set."""
    for name in ("OLMES_API_KEY", "OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = runpy.run_path(str(FAULTY_SERVER))["FaultyServer"]()
    yield server
    server.close()
