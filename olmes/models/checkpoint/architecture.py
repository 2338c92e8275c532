"""Whether a checkpoint is of a kind that writes text, by its configuration alone."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.models.checkpoint.fingerprint import settings
from olmes.models.checkpoint.loading import CUSTOM_CODE, first_line, loading, upgrade, version
from olmes.tools.cache_folder import cache_folder
from olmes.tools.hashing import content_hash
from olmes.tools.jsonl import write_atomically

if TYPE_CHECKING:
    from transformers import PretrainedConfig

SCORERS = (
    "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering",
    "ForMultipleChoice", "ForReward", "RewardModel", "ForSequenceRegression", "ForScore",
)  # fmt: skip
"""How the classes of models end that score texts, and write none."""
WRITERS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "WithLMHead")
"""How the classes of models end that write texts."""
CAUSAL = "AutoModelForCausalLM"


REWARD_MODEL = "ForSequenceClassification"
"""How the classes of models end that can give an answer one number."""


def is_reward_model(folder: Path) -> bool:
    """Whether a checkpoint is of a sequence classifier with one label, by its configuration."""
    values = settings(folder / "config.json")
    named = [str(one) for one in values.get("architectures") or []]
    labels = values.get("num_labels") or len(values.get("id2label") or (0, 1))
    return labels == 1 and any(one.endswith(REWARD_MODEL) for one in named)


def check_architecture(name: str, folder: Path, *, trust: bool = False) -> None:
    """Return when a checkpoint is of a causal language model that transformers can run.

    What was found out is cached, since it takes the import of transformers.

    Args:
        name: what the user called it.
        folder: with its configuration.
        trust: whether code that lies in the folder may be run.

    Raises:
        OlmesError: what it is instead, and what to do.
    """
    values = settings(folder / "config.json")
    entry = cache_folder("architectures", content_hash([values, version("transformers"), trust]))
    if entry.is_file():
        return
    if reason := refused(name, folder, values, trust=trust):
        raise OlmesError(reason)
    with contextlib.suppress(OSError):  # a read-only cache costs time, not correctness
        write_atomically(entry, "")


def scores_texts(name: str, values: dict[str, Any]) -> str:
    """That a checkpoint scores texts and writes none; '' where its configuration does not say so."""
    named = [str(one) for one in values.get("architectures") or []]
    if not any(one.endswith(SCORERS) for one in named):
        return ""
    return (
        f"'{name}' is a reward model or classifier ({', '.join(named)}), which scores texts and writes "
        "none: it is not a causal language model; choose one that is."
    )


def refused(name: str, folder: Path, values: dict[str, Any], *, trust: bool) -> str:
    """Why a checkpoint cannot write text; '' where it can."""
    named = [str(one) for one in values.get("architectures") or []]
    what = f" ({', '.join(named)})" if named else ""
    if said := scores_texts(name, values):
        return said
    code = values.get("auto_map") or {}
    if trust and code:
        if CAUSAL in code:
            return ""
        return (
            f"'{name}' brings code of its own{what}, but none for {CAUSAL}: it is not a causal "
            "language model; choose one that is."
        )
    kind = values.get("model_type")
    if kind is None and not code:
        return (
            f"the config.json of '{name}' names no model_type, so that transformers cannot load it; "
            "give a checkpoint that save_pretrained has written."
        )
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if kind not in CONFIG_MAPPING_NAMES:
        if code:
            return CUSTOM_CODE.format(name=name, what=f"its type is '{kind}'")
        return f"'{name}' is of the type '{kind}', and {upgrade()}."
    return kind_refused(name, folder, what)


def kind_refused(name: str, folder: Path, what: str) -> str:
    """As `refused`, of a type that transformers knows."""
    config = read_config(name, folder)
    if getattr(config, "is_encoder_decoder", False):
        return (
            f"'{name}' is an encoder-decoder{what}, and not a causal language model; choose one that "
            "is."
        )
    if causal_class(config) is None or is_encoder(config):
        return (
            f"'{name}'{what} is not a causal language model and writes no text; choose one that is."
        )
    return ""


def check_quantization(name: str, folder: Path, device: str) -> None:
    """Return when the library is installed, and the hardware there, that quantized weights need.

    Args:
        name: what the user called it.
        folder: with its configuration.
        device: where it is to run.

    Raises:
        OlmesError: what is missing, and the command that installs it.
    """
    values = settings(folder / "config.json").get("quantization_config")
    if not isinstance(values, dict):
        return
    from transformers.quantizers.auto import AutoHfQuantizer

    try:
        with loading("weights", name):
            quantizer = AutoHfQuantizer.from_config(values, pre_quantized=True)
            place = "auto" if device == "auto" else {"": device}
            quantizer.validate_environment(device_map=place, weights_only=True)
    except RuntimeError as error:  # hardware that the library does not run on
        raise OlmesError(
            f"the weights of '{name}' are quantized ({values.get('quant_method')}) and do not run "
            f"here ({first_line(error)}); choose another --device, or the model without quantization."
        ) from error


def read_config(name: str, folder: Path, *, trust: bool = False) -> PretrainedConfig:
    """The whole configuration, with the parts for images and sounds where it has them.

    Raises:
        OlmesError: transformers refuses it.
    """
    from transformers import AutoConfig

    with loading("configuration", name):
        config: PretrainedConfig = AutoConfig.from_pretrained(
            folder, local_files_only=not trust, trust_remote_code=trust
        )
    return config


def causal_class(config: PretrainedConfig) -> Any:
    """The class of transformers that loads a configuration's model to write text; None without one.

    A model that reads images too is asked in text alone.
    """
    import transformers
    from transformers.models.auto import modeling_auto as known

    if CAUSAL in (getattr(config, "auto_map", None) or {}):
        return transformers.AutoModelForCausalLM
    if config.model_type in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return transformers.AutoModelForCausalLM
    if config.model_type in known.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return transformers.AutoModelForImageTextToText
    if config.model_type in getattr(known, "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES", {}):
        return transformers.AutoModelForMultimodalLM
    return None


def is_encoder(config: PretrainedConfig) -> bool:
    """Whether a model fills in gaps and cannot go on with a text, such as BERT."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as FILLERS

    if config.model_type not in FILLERS or getattr(config, "is_decoder", False):
        return False
    return not any(str(one).endswith(WRITERS) for one in config.architectures or [])
