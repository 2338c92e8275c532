"""Models that read images too are asked in text; what writes no text is refused before it is loaded."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.errors import OlmesError
from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.hf.model import HFModel
from olmes.models.spec import load_model
from olmes.types import Generation, Message, Request
from tests.olmes.models.conftest import build_tokenizer

if TYPE_CHECKING:
    from olmes.types import Response

TEXT = {
    "vocab_size": 400, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
    "max_position_embeddings": 256, "initializer_range": 0.3, "eos_token_id": 2,
    "bos_token_id": None, "pad_token_id": 2,
}  # fmt: skip
SIGHT = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
ROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
QWEN_SIGHT = {
    "depth": 1, "hidden_size": 32, "num_heads": 2, "out_hidden_size": 64, "intermediate_size": 32,
}  # fmt: skip
QWEN_TEXT = TEXT | {"rope_parameters": ROPE}
LLAMA = TEXT | {"model_type": "llama"}
KINDS: dict[str, dict[str, Any]] = {
    "Mistral3": {
        "text_config": TEXT | {"model_type": "mistral"},
        "vision_config": SIGHT | {"model_type": "pixtral", "image_size": 28, "patch_size": 14},
    },
    "Qwen2_5_VL": {"text_config": QWEN_TEXT, "vision_config": QWEN_SIGHT},
    "Qwen2VL": {
        "text_config": QWEN_TEXT,
        "vision_config": {"depth": 1, "embed_dim": 32, "num_heads": 2, "hidden_size": 64},
    },
    "Qwen3VL": {
        "text_config": QWEN_TEXT,
        "vision_config": QWEN_SIGHT | {"deepstack_visual_indexes": [0]},
    },
    "Llava": {
        "text_config": LLAMA,
        "vision_config": SIGHT
        | {"model_type": "clip_vision_model", "image_size": 28, "patch_size": 14},
        "image_token_index": 5,
    },
    "Idefics3": {
        "text_config": LLAMA,
        "vision_config": SIGHT | {"image_size": 28, "patch_size": 14},
        "image_token_id": 5,
    },
}
"""Configurations that AutoModelForCausalLM does not take, by the beginning of their classes' names."""
TEXTS = (
    "Question: If Mary had 3 apples",
    "Mary",
    "Paris is the capital of France, a city of two million people on the river Seine.",
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))


def build_seeing(folder: Path, kind: str) -> Path:
    """Save a small random model of a kind that reads images, with a tokenizer."""
    import torch
    import transformers

    config = getattr(transformers, f"{kind}Config")(**KINDS[kind])
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForConditionalGeneration")(config)
    model.save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_what_reads_images_too_is_asked_in_text(
    tmp_path: Path, kind: str, answer: Callable[..., list[Response]]
) -> None:
    """Its answers are those of `generate`, row by row, and its weights are whole."""
    import torch
    from transformers import AutoModelForImageTextToText

    folder = build_seeing(tmp_path / "seeing", kind)
    model = load_model(str(folder), device="cpu", batch_size=3)
    assert isinstance(model, HFModel)
    model.check()
    assert model.window == 256
    requests = [Request(generation=Generation(max_tokens=8), prompt=text) for text in TEXTS]
    found = answer(model, requests)
    reference = AutoModelForImageTextToText.from_pretrained(folder).eval()
    for request, response in zip(requests, found, strict=True):
        ids = torch.tensor([model.encode(request).token_ids])
        with torch.inference_mode():
            new = reference.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8,
                do_sample=False, eos_token_id=sorted(model.ends), pad_token_id=2,
            )  # fmt: skip
        expected = model.encoder.answer(ids[0].tolist(), new[0, ids.shape[1] :].tolist())
        assert response.text == expected
    weighed = [
        Request(generation=Generation(max_tokens=1), prompt=text, continuations=(" Paris", " 15"))
        for text in TEXTS
    ]
    for request, response in zip(weighed, answer(model, weighed), strict=True):
        prompt = model.encode(request)
        for text, logprob in zip(request.continuations, response.logprobs, strict=True):
            row, start = model.encoder.with_continuation(prompt, text)
            with torch.inference_mode():
                logits = reference(input_ids=torch.tensor([row])).logits[0].log_softmax(-1)
            sum_of_row = sum(float(logits[at - 1, row[at]]) for at in range(start, len(row)))
            assert logprob == pytest.approx(sum_of_row, abs=2e-3)


def test_a_template_in_the_processors_file_is_used(tmp_path: Path) -> None:
    folder = build_seeing(tmp_path / "seeing", "Llava")
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    request = Request(
        generation=Generation(max_tokens=1), messages=({"role": "user", "content": "Mary?"},)
    )
    assert "user\nMary?" in load_model(str(folder)).encode(request).text


PARTS = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% for c in m['content'] if c.type == 'text' %}{{ c.text }}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_a_template_that_takes_parts_gets_them(tiny_folder: Path, tmp_path: Path) -> None:
    """It would leave a string out without a word."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "mine"))
    messages: tuple[Message, ...] = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " Mary? "},
    )
    request = Request(generation=Generation(max_tokens=1), messages=messages)
    plain = load_model(str(folder)).encode(request)
    (folder / "chat_template.jinja").write_text(PARTS)
    assert load_model(str(folder)).encode(request) == plain
    assert "Mary?" in plain.text


def config(**changes: Any) -> Callable[[Path], None]:
    """Change the checkpoint's config.json; a value of None takes an entry out."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        values = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: one for key, one in values.items() if one is not None}))

    return change


def removed(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def quantized(method: str, **settings: Any) -> Callable[[Path], None]:
    return config(quantization_config={"quant_method": method, **settings})


REFUSED: list[tuple[Callable[[Path], object], str]] = [
    (config(architectures=["LlamaForSequenceClassification"]), "a reward model or classifier"),
    (config(architectures=["Qwen2ForRewardModel"]), "a reward model or classifier"),
    (config(architectures=["LlamaForTokenClassification"]), "a reward model or classifier"),
    (config(model_type="bert", architectures=["BertForMaskedLM"]), "not a causal language model"),
    (config(model_type="roberta", architectures=["RobertaModel"]), "not a causal language model"),
    (config(model_type="electra", architectures=["X"]), "not a causal language model"),
    (config(model_type="vit", architectures=["ViTModel"]), "not a causal language model"),
    (
        config(model_type="t5", architectures=["T5ForConditionalGeneration"]),
        "an encoder-decoder .*T5.* not a causal language model",
    ),
    (config(model_type="bart", architectures=["BartForConditionalGeneration"]), "encoder-decoder"),
    (config(model_type="whisper", architectures=["W"]), "encoder-decoder"),
    (config(model_type="nonesuch"), r"'nonesuch'.*does not know it.*pip install -U transformers"),
    (config(model_type=None), "names no model_type"),
    (removed("tokenizer.json"), "has no tokenizer; copy that of its base"),
    (removed("model.safetensors"), "has no weights"),
    (lambda f: (f / "model.safetensors").write_bytes(b"1" * 50), "cut short"),
    (lambda f: (f / "config.json").write_text("{"), "config.json is cut short"),
    # A value that the type does not take: of transformers' own check.
    (config(model_type="modernbert"), "the configuration of 'mine' cannot be loaded"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[text for _, text in REFUSED])
def test_the_check_says_what_a_model_is_instead(
    tiny_folder: Path, tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "mine"))
    change(folder)
    model = HFModel("mine", LocalCheckpoint(folder), device="cpu")
    with pytest.raises(OlmesError, match=message) as caught:
        model.check()
    assert "\n" not in str(caught.value)
    assert "weights" not in model.__dict__


def test_a_check_is_cheap_the_second_time(tiny_folder: Path) -> None:
    """A run whose answers are cached imports neither transformers nor torch for it."""
    import subprocess
    import sys

    script = (
        "import sys; from olmes.models.spec import load_model; "
        f"load_model({str(tiny_folder)!r}).check(); "
        "sys.exit(', '.join({'torch', 'transformers'} & set(sys.modules)) or 0)"
    )
    load_model(str(tiny_folder)).check()
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("library", "change"),
    [
        ("bitsandbytes", quantized("bitsandbytes", load_in_4bit=True)),
        ("optimum", quantized("gptq", bits=4)),
        ("compressed", quantized("compressed-tensors")),
        ("HQQ", quantized("hqq")),
    ],
)
def test_a_missing_quantization_library_is_named_with_its_command(
    tiny_folder: Path, tmp_path: Path, library: str, change: Callable[[Path], None]
) -> None:
    if importlib.util.find_spec(library.lower().replace("compressed", "compressed_tensors")):
        pytest.skip(f"{library} is installed")
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "mine"))
    change(folder)
    model = HFModel("mine", LocalCheckpoint(folder), device="cpu")
    for use in (model.check, lambda: model.weights):
        with pytest.raises(OlmesError) as caught:
            use()
        said = str(caught.value)
        assert "\n" not in said
        assert library in said
        assert "install" in said
        assert "complete checkpoint" not in said


@pytest.mark.parametrize("backend", ["", "vllm:"])
def test_gguf_is_told_from_a_checkpoint(tmp_path: Path, backend: str) -> None:
    file = tmp_path / "tiny" / "model-Q4.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF")
    for target in (file, file.parent):
        with pytest.raises(OlmesError, match=r"GGUF form \(.*model-Q4.gguf\).*llama-server"):
            load_model(f"{backend}{target}")


def test_a_pickle_with_other_objects_is_not_unpacked(tiny_folder: Path, tmp_path: Path) -> None:
    import torch

    folder = Path(shutil.copytree(tiny_folder, tmp_path / "mine"))
    (folder / "model.safetensors").unlink()
    torch.save({"a": Path("x")}, folder / "pytorch_model.bin")
    with pytest.raises(OlmesError, match="other objects than tensors.*safetensors") as caught:
        _ = HFModel("mine", LocalCheckpoint(folder), device="cpu").weights
    assert "\n" not in str(caught.value)


def test_whole_weights_beside_an_adapters_configuration_are_refused(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "mine"))
    (folder / "adapter_config.json").write_text("{}")
    model = load_model(str(folder), device="cpu")
    request = Request(generation=Generation(max_tokens=1), prompt="a")
    for use in (model.check, lambda: model.encode(request)):
        with pytest.raises(OlmesError, match=r"remove adapter_config.json if"):
            use()
