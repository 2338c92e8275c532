"""The whole model of an adapter checkpoint: base model and adapter, merged once."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from olmes.errors import OlmesError
from olmes.models.checkpoint.completeness import STATE, has_tokenizer
from olmes.models.checkpoint.fingerprint import read_json
from olmes.models.checkpoint.folder import loading
from olmes.models.checkpoint.lineage import LINEAGE_FILE
from olmes.models.spec import find_checkpoint
from olmes.trainers.checkpoints.staging import add_tokenizer

NAME = "merged"


def merged(folder: Path) -> Path:
    """The folder of the whole model; made now if it is not there.

    It lies at `merged/TRAINING/LABEL`, the adapter at `TRAINING/LABEL`, so that it is of the
    same family.

    The base is merged in its own precision, on the CPU. Its vocabulary grows where the adapter's
    tokenizer is larger, and never shrinks.

    Raises:
        OlmesError: the base model cannot be found, or peft is not installed.
    """
    unit = folder.parent.parent
    target = unit / NAME / folder.parent.name / folder.name
    if target.is_dir():
        return target
    try:
        from peft import PeftModel
    except ImportError:
        raise OlmesError(
            "an adapter is scored merged into its base model, by peft; pip install 'olmes[train]'."
        ) from None
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base_name = str(read_json(folder / "adapter_config.json").get("base_model_name_or_path") or "")
    if not base_name:
        raise OlmesError(f"{folder}/adapter_config.json does not name its base model; add it.")
    base = find_checkpoint(base_name).folder(weights=True)
    for old in unit.glob(f".{NAME}-*"):
        shutil.rmtree(old, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{NAME}-", dir=unit))
    with loading("base model or adapter", str(folder)):
        model = AutoModelForCausalLM.from_pretrained(base, dtype="auto", local_files_only=True)
        if has_tokenizer(folder):
            tokens = len(AutoTokenizer.from_pretrained(folder, local_files_only=True))
            if tokens > model.get_input_embeddings().weight.shape[0]:
                model.resize_token_embeddings(tokens)
        whole = PeftModel.from_pretrained(model, folder).merge_and_unload()
        whole.save_pretrained(temporary)
    add_tokenizer(folder if has_tokenizer(folder) else base, temporary)
    for name in (STATE, LINEAGE_FILE):
        if (folder / name).is_file():
            shutil.copy2(folder / name, temporary / name)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary.rename(target)
    return target
