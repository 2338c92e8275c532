"""Adapters: merged into the base they name or are given, and told apart by content."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.errors import OlmesError
from olmes.models.checkpoint.lineage import family, lineage, training_step
from olmes.models.hf.model import HFModel
from olmes.models.options import Asking
from olmes.models.spec import load_model
from olmes.types import Generation, Request

if TYPE_CHECKING:
    from olmes.types import Response

peft = pytest.importorskip("peft")

REQUEST = Request(generation=Generation(max_tokens=6), prompt="Question: If Mary had 3 apples")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def lora(tiny_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """`lora(place)`: a LoRA of the tiny checkpoint that changes its answers, as peft saves it."""

    def make(place: str = "lora", *, seed: int = 0, base: Path = tiny_folder) -> Path:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_pretrained(base)
        settings = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        get_peft_model(model, settings).save_pretrained(str(tmp_path / place))
        return tmp_path / place

    return make


def hf(name: object, adapter: object = None) -> HFModel:
    asking = Asking(adapter=None if adapter is None else str(adapter))
    model = load_model(str(name), device="cpu", asking=asking)
    assert isinstance(model, HFModel)
    return model


def test_an_adapter_answers_as_peft_does(
    lora: Callable[..., Path], tiny_folder: Path, answer: Callable[..., list[Response]]
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = lora()
    model = hf(folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    reference = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny_folder), folder
    ).eval()
    ids = torch.tensor([model.encode(REQUEST).token_ids])
    new = reference.generate(input_ids=ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :]
    (found,) = answer(model, [REQUEST])
    assert found.text == tokenizer.decode(new, skip_special_tokens=True)
    (bare,) = answer(hf(tiny_folder), [REQUEST])
    assert found.text != bare.text


def test_the_folder_and_the_option_are_the_same_model(
    lora: Callable[..., Path], tiny_folder: Path
) -> None:
    folder = lora("sft/checkpoint-40")
    (folder / "trainer_state.json").write_text('{"global_step": 40}')
    named, given = hf(folder), hf(tiny_folder, folder)
    assert named.fingerprint == given.fingerprint != hf(tiny_folder).fingerprint
    assert named.engine == given.engine  # neither says where the adapter lies
    assert named.title == "sft/checkpoint-40"
    assert given.title == f"{tiny_folder.name} + sft/checkpoint-40"
    for model in (named, given):
        model.check()
        assert (family(model), training_step(model)) == ("sft", 40)
        assert lineage(model)[0] == {"base": str(tiny_folder)}


def test_the_fingerprint_is_of_adapter_and_base(
    lora: Callable[..., Path], tiny_folder: Path, tmp_path: Path, build: Callable[..., Path]
) -> None:
    one, two = lora("one"), lora("two", seed=1)
    other = build(tmp_path / "other", config={"rms_norm_eps": 1e-4})
    found = {
        hf(base, adapter).fingerprint for base in (tiny_folder, other) for adapter in (one, two)
    }
    assert len(found) == 4
    # The same adapter under the same name, trained on: not the one that was merged before.
    before = hf(one).fingerprint
    shutil.copy(two / "adapter_model.safetensors", one / "adapter_model.safetensors")
    assert hf(one).fingerprint not in (before, *(found - {hf(two).fingerprint}))
    moved = shutil.copytree(two, tmp_path / "moved")
    assert hf(moved).fingerprint == hf(two).fingerprint


def test_an_adapter_beside_its_base_configuration_is_an_adapter(
    lora: Callable[..., Path], tiny_folder: Path
) -> None:
    folder = lora()
    expected = hf(folder).fingerprint
    for name in (
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ):
        shutil.copy(tiny_folder / name, folder / name)
    shutil.copy(tiny_folder / "chat_template.jinja", folder / "chat_template.jinja")
    model = hf(folder)
    model.check()
    assert model.fingerprint == expected
    assert model.encode(REQUEST).token_ids


def test_an_adapter_of_an_adapter_is_merged_into_both(
    lora: Callable[..., Path], tmp_path: Path, tiny_folder: Path
) -> None:
    first = lora("first")
    second = lora("second", seed=1)
    config = json.loads((second / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(first)
    (second / "adapter_config.json").write_text(json.dumps(config))
    assert len({hf(one).fingerprint for one in (first, second, lora("third", seed=1))}) == 3


def rewrite(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rewrite(base_model_name_or_path="/gone/base"), "adapter of '/gone/base'.*--model BASE"),
        (rewrite(base_model_name_or_path="owner/gone"), "adapter of 'owner/gone'.*--model BASE"),
        (rewrite(base_model_name_or_path=None), "merge it into its base model, or name"),
        (lambda f: (f / "adapter_model.safetensors").unlink(), "has no weights"),
        (
            lambda f: (f / "adapter_model.safetensors").write_bytes(b"12"),
            "does not fit the model|cut",
        ),
        (rewrite(target_modules=["nonesuch"]), "does not fit the model"),
        (rewrite(r=3), "does not fit the model"),
    ],
)
def test_adapters_that_cannot_be_merged_are_a_sentence(
    lora: Callable[..., Path], change: Callable[[Path], None], message: str
) -> None:
    folder = lora()
    change(folder)
    with pytest.raises(OlmesError, match=message) as caught:
        _ = hf(folder).fingerprint
    assert "\n" not in str(caught.value)


def test_a_base_of_another_shape_is_refused(
    lora: Callable[..., Path], tmp_path: Path, build: Callable[..., Path]
) -> None:
    other = build(tmp_path / "other", config={"hidden_size": 32})
    with pytest.raises(OlmesError, match="does not fit the model .*other"):
        _ = hf(other, lora()).fingerprint


@pytest.mark.parametrize("model", ["openai:x@http://127.0.0.1:9", "replay:{file}"])
def test_models_that_are_not_loaded_here_take_no_adapter(model: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    with pytest.raises(OlmesError, match="--adapter goes with a model that is loaded here"):
        load_model(model.format(file=tmp_path / "a.jsonl"), asking=Asking(adapter="x"))


def test_what_is_no_adapter_is_refused(lora: Callable[..., Path], tiny_folder: Path) -> None:
    with pytest.raises(OlmesError, match="has no adapter.*given as --model"):
        hf(tiny_folder, tiny_folder)
    with pytest.raises(OlmesError, match="give the base model as --model"):
        hf(lora(), lora("two"))
    with pytest.raises(OlmesError, match="there is no folder /no/such"):
        hf(tiny_folder, "/no/such/adapter")
