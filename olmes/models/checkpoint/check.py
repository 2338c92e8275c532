"""Whether a checkpoint can be asked at all: by its small files, before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from olmes.errors import OlmesError
from olmes.models.checkpoint.architecture import check_architecture, is_reward_model
from olmes.models.checkpoint.completeness import trouble_of
from olmes.models.checkpoint.fingerprint import TOKENIZERS
from olmes.models.checkpoint.merging import check_peft
from olmes.models.checkpoint.places import (
    AdaptedCheckpoint,
    Checkpoint,
    HubCheckpoint,
    LocalCheckpoint,
    base_of,
    check_leftover,
    is_adapter,
)


def check_checkpoint(
    name: str, checkpoint: Checkpoint, *, trust: bool = False, rewards: bool = False
) -> None:
    """Return when a checkpoint is whole, as far as it is here, and writes text.

    Nothing is merged, and of the hub only the small files are fetched.

    Args:
        name: what the user called it.
        checkpoint: where its files are.
        trust: whether code that lies there may be run.
        rewards: whether a reward model will do as well.

    Raises:
        OlmesError: it is not; the sentence says what it is instead and what to do.
    """
    if isinstance(checkpoint, AdaptedCheckpoint):
        check_peft()
        checkpoint.adapter.files(weights=False)
        check_checkpoint(name, checkpoint.base, trust=trust, rewards=rewards)
        return
    if not isinstance(checkpoint, (LocalCheckpoint, HubCheckpoint)):
        return  # the embedded one, which is as it should be
    folder = checkpoint.files(weights=False)
    if is_adapter(folder):
        check_peft()
        check_checkpoint(name, base_of(folder), trust=trust, rewards=rewards)
        return
    check_leftover(name, folder)
    if isinstance(checkpoint, LocalCheckpoint) and (
        trouble := trouble_of(folder, tokenizer=False, state=False)
    ):
        raise OlmesError(f"'{name}' cannot be run: {trouble.reason}.")
    if not (rewards and is_reward_model(folder)):
        check_architecture(name, folder, trust=trust)
    if not trust and not tokenizer_in(folder):
        raise OlmesError(
            f"'{name}' has no tokenizer; copy that of its base model into its folder "
            "(tokenizer.json, tokenizer_config.json), or save it there with save_pretrained."
        )


def stored_files(checkpoint: Checkpoint) -> Path | None:
    """The folder of a checkpoint's small files; None for one that is merged or embedded."""
    if not isinstance(checkpoint, (LocalCheckpoint, HubCheckpoint)):
        return None
    folder = checkpoint.files(weights=False)
    return None if is_adapter(folder) else folder


def tokenizer_in(folder: Path) -> bool:
    """Whether a folder has a tokenizer; one of bytes alone needs no more than its configuration."""
    kinds = ("*.tiktoken", "tokenizer.model.*", "tokenizer*.json", "*.model", "vocab*")
    files = {path.name for kind in kinds for path in folder.glob(kind)}
    named = files - {"tokenizer_config.json"} | {
        name for name in TOKENIZERS if (folder / name).is_file()
    }
    return bool(named - {"special_tokens_map.json", "added_tokens.json"})
