"""What the name of a checkpoint's folder says: its step or epoch, and whose checkpoint it is.

Trainers name them `checkpoint-20`, `global_step20_hf`, `step_20`, `iter_0000020`,
`epoch=1-step=20`, `run-a-step-20`, `20`; the words around the number are read and not listed whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COUNTED = re.compile(
    r"(?<![a-z])(?P<kind>checkpoint|ckpt|(?:global|train|epoch)?[-_ ]?step|iteration|iter|it"
    r"|rollout|update|epoch|ep)s?[-_= .]?(?P<number>\d+)(?![.]\d)",
    re.IGNORECASE,
)
MEASURED = re.compile(r"[a-z][a-z_ ]*=-?\d+(?:\.\d+)?", re.IGNORECASE)
"""What else Lightning and NeMo write into a name: `val_loss=0.53`, `consumed_samples=320.0`."""
LAST = re.compile(r"(?P<before>.*?)(?<![a-z])(?:final|last)(?P<after>.*)", re.IGNORECASE)
ASIDE = frozenset((
    "16bit", "32bit", "actor", "adapter", "adapters", "bf16", "checkpoint", "checkpoints", "ckpt",
    "ckpts", "consolidated", "converted", "dcp", "export", "exported", "float16", "float32", "fp16",
    "fp32", "full", "hf", "huggingface", "lora", "merged", "model", "models", "peft", "policy",
    "safetensors", "saved", "unsharded", "unwrapped", "weights",
))  # fmt: skip
"""Words that say in what form a checkpoint is there, and nothing of which one it is."""
ENDS = frozenset(("best", "final", "last", "latest"))
"""Words behind a step that say nothing else either."""
UNFINISHED = frozenset(("incomplete", "old", "partial", "temp", "tmp"))
"""Words of a folder that is being written, or was left behind."""
TOKENS = re.compile(r"tokens?\d+(?:[.]\d+)?[kmbt]?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CheckpointName:
    """The name of a checkpoint's folder, read."""

    step: int | None
    epoch: int | None
    """Where the name has no step."""
    of: str
    """What else the name says: a training's name; '' where it is the step alone."""
    plain: bool
    """Whether it is the step alone, as a trainer writes it: no name before it, no form behind."""


def read_name(name: str) -> CheckpointName | None:
    """The step or epoch that a folder's name tells; None for a name that is not a checkpoint's."""
    if UNFINISHED & set(re.split(r"[-_=. ]+", name.lower())):
        return None
    found = list(COUNTED.finditer(name))
    if not found:
        last = LAST.fullmatch(name)
        if last is None or words_of(last["after"]):
            return None
        of = words_of(last["before"])
        return CheckpointName(None, None, of, name.lower() == "final")
    behind = words_of(name[found[-1].end() :])
    if behind and not set(behind.split("-")) <= ENDS:
        return None
    steps = [int(one["number"]) for one in found if "ep" not in one["kind"].lower()[:2]]
    epochs = [int(one["number"]) for one in found if one["kind"].lower() in ("ep", "epoch")]
    step = steps[-1] if steps else None
    before = COUNTED.sub(" ", name[: found[-1].end()])
    return CheckpointName(
        step=step,
        epoch=epochs[-1] if step is None else None,
        of=words_of(before),
        plain=len(found) == 1 and found[0].span() == (0, len(name)),
    )


def of_a_training(name: str) -> CheckpointName | None:
    """As `read_name`, of a folder of which nothing else is known.

    `my-model-final` may be the name of any model, so that it tells nothing; `final` does.
    """
    found = read_name(name)
    if found is None and name.isdecimal():
        return bare_number(name)
    numbered = found is not None and (found.step is not None or found.epoch is not None)
    return found if found and (numbered or not found.of) else None


def bare_number(name: str) -> CheckpointName | None:
    """As `read_name`, of a number with nothing but a form about it: `20`, `20-hf`."""
    digits = [word for word in re.split(r"[-_=. ]+", name) if word.isdecimal() and len(word) < 10]
    alone = len(digits) == 1 and words_of(name) == digits[0]
    return CheckpointName(int(digits[0]), None, "", False) if alone else None


def words_of(text: str) -> str:
    """The words of a part of a name that do not merely say in what form the checkpoint is."""
    parts = re.split(r"[-_=. ]+", MEASURED.sub(" ", text).lower())
    return "-".join(w for w in parts if w and w not in ASIDE and not TOKENS.fullmatch(w))
