"""The whole model of an adapter checkpoint: base model and adapter, merged once."""

from __future__ import annotations

import shutil
from pathlib import Path

from olmes.models.checkpoint.completeness import STATE
from olmes.models.checkpoint.lineage import LINEAGE_FILE
from olmes.models.checkpoint.merging import TEMPORARY, check_peft, merge
from olmes.models.checkpoint.places import base_of

NAME = "merged"


def merged(folder: Path) -> Path:
    """The folder of the whole model; made now if it is not there.

    It lies at `merged/TRAINING/LABEL`, the adapter at `TRAINING/LABEL`, so that it is of the
    same family.

    Raises:
        OlmesError: the base model cannot be found, or `merge` refuses the two.
    """
    unit = folder.parent.parent
    target = unit / NAME / folder.parent.name / folder.name
    if target.is_dir():
        return target
    check_peft()
    base = base_of(folder).folder(weights=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    for old in target.parent.glob(f"{TEMPORARY}*"):
        shutil.rmtree(old, ignore_errors=True)
    merge(folder, base, target, kept=(STATE, LINEAGE_FILE))
    return target
