"""An adapter and its base model, merged once into one checkpoint."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.models.checkpoint.architecture import causal_class
from olmes.models.checkpoint.completeness import has_tokenizer
from olmes.models.checkpoint.fingerprint import (
    ADAPTERS,
    TOKENIZERS,
    cached_sha256,
    checkpoint_fingerprint,
    read_json,
)
from olmes.models.checkpoint.loading import first_line, loading, quiet
from olmes.tools.cache_folder import cache_folder
from olmes.tools.hashing import content_hash

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TEMPORARY = ".merging-"
HEAD = re.compile(r"\.(?:score|classifier)\.(?:\w+\.)*weight$")
"""Where the head of a sequence classifier stands in the weights of an adapter."""
TEMPLATES = ("tokenizer_config.json", "chat_template.jinja", "chat_template.json")
KEPT = (*TOKENIZERS, *TEMPLATES)


def merged_in_cache(adapter: Path, base: Path) -> Path:
    """The folder of the merged model, in the cache folder; made now if it is not there.

    It is named by the content of adapter and base, so that neither a new adapter in the same folder
    nor another base of the same name is taken for the old one.

    Raises:
        OlmesError: as `merge`.
    """
    parts = [adapter / name for name in (*ADAPTERS, *KEPT) if (adapter / name).is_file()]
    hashes = {path.name: cached_sha256(path) for path in parts}
    key = content_hash([hashes, checkpoint_fingerprint(base)])[:16]
    target = cache_folder("merged", key)
    if not target.is_dir():
        print(f"olmes: merging {adapter} into its base model, once ({target}) ...", file=sys.stderr)
        target.parent.mkdir(parents=True, exist_ok=True)
        merge(adapter, base, target)
    return target


def merge(adapter: Path, base: Path, target: Path, *, kept: Sequence[str] = ()) -> None:
    """Write the whole model of an adapter.

    The base is merged in its own precision, on the CPU. Its vocabulary grows where the adapter's
    tokenizer is larger, and never shrinks. `target` is whole once it is there.

    Args:
        adapter: its folder.
        base: the folder of the whole model it is put on.
        target: where the merged model goes.
        kept: further files of the adapter that go there too.

    Raises:
        OlmesError: peft is not installed, or the two do not fit.
    """
    check_peft()
    check_kind(adapter)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=TEMPORARY))
    try:
        adapted(adapter, base).save_pretrained(temporary)
        add_tokenizer(adapter if has_tokenizer(adapter) else base, temporary)
        for name in kept:
            if (adapter / name).is_file():
                shutil.copy2(adapter / name, temporary / name)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster, and made the same
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def adapted(adapter: Path, base: Path) -> PreTrainedModel:
    """The base model in memory, with the adapter merged in.

    Raises:
        OlmesError: the two do not fit, or the adapter is of a kind that cannot be merged.
    """
    from peft import PeftModel
    from safetensors import SafetensorError
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    rewards = has_reward_head(adapter)
    with loading("base model", str(base)):
        config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
        if rewards:  # on a language model, whose output layer is left out, or on a reward model
            kind, config.num_labels = AutoModelForSequenceClassification, 1
        else:
            kind = causal_class(config) or AutoModelForCausalLM
        model: Any = kind.from_pretrained(
            base, config=config, dtype="auto", local_files_only=True, trust_remote_code=False
        )
    if has_tokenizer(adapter):
        with loading("tokenizer", str(adapter)):
            tokens = len(
                AutoTokenizer.from_pretrained(
                    adapter, local_files_only=True, trust_remote_code=False
                )
            )
        if tokens > model.get_input_embeddings().weight.shape[0]:
            model.resize_token_embeddings(tokens)
    misfit = (
        f"the adapter {adapter} does not fit the model {base} ({{}}); name the one that it was "
        f"trained on: --model BASE --adapter {adapter}."
    )
    try:
        with quiet(), warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            whole = PeftModel.from_pretrained(model, adapter)
    # What peft raises where layers or shapes differ, or for a file that is none of its own.
    except (
        OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError,
    ) as error:  # fmt: skip
        raise OlmesError(misfit.format(first_line(error))) from error
    # peft leaves out what it finds no place or no weights for, and only warns.
    for one in said:
        if "missing adapter keys" in str(one.message):
            raise OlmesError(misfit.format("its weights are of other layers"))
    merged: PreTrainedModel = whole.merge_and_unload()
    return merged


def has_reward_head(adapter: Path) -> bool:
    """Whether an adapter is of a reward model: it brings a head of one label, saved whole.

    Raises:
        OlmesError: it is of a classifier, and brings no such head.
    """
    if read_json(adapter / ADAPTERS[0]).get("task_type") != "SEQ_CLS":
        return False
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(adapter / "adapter_model.safetensors", framework="pt") as opened:
            heads = [name for name in opened.keys() if HEAD.search(name)]  # noqa: SIM118
            labels = {opened.get_slice(name).get_shape()[0] for name in heads}
    except (OSError, SafetensorError):
        labels = set()
    if labels != {1}:
        raise OlmesError(
            f"the adapter {adapter} is of a classifier and brings no head of one label, so that it "
            "gives no rewards; train it with its head (peft's modules_to_save), as `olmes train "
            "reward` does."
        )
    return True


class UnmergeableError(OlmesError):
    """An adapter is of a kind that is no change of weights."""


def check_kind(adapter: Path) -> None:
    """Refuse an adapter that cannot be merged, before its base is loaded.

    Raises:
        UnmergeableError: it is one of prompts or the like, which peft does not merge.
    """
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

    kind = str(read_json(adapter / ADAPTERS[0]).get("peft_type"))
    known = {one.value: tuner for one, tuner in PEFT_TYPE_TO_TUNER_MAPPING.items()}
    if kind in known and not hasattr(known[kind], "merge_and_unload"):
        raise UnmergeableError(
            f"the adapter {adapter} is a {kind}, which cannot be merged into weights; give a LoRA, or "
            "a model with the adapter's effect saved in it."
        )


def check_peft() -> None:
    """Return when peft is installed.

    Raises:
        OlmesError: it is not.
    """
    try:
        import peft  # noqa: F401
    except ImportError:
        raise OlmesError(
            "an adapter is scored merged into its base model, by peft; pip install 'olmes[train]'."
        ) from None


def add_tokenizer(source: Path, target: Path) -> None:
    """Copy a tokenizer with its chat template into a folder that has none."""
    for name in KEPT:
        if (source / name).is_file() and not (target / name).exists():
            shutil.copy2(source / name, target / name)
