"""Length-controlled win rates: what a judge would prefer were both responses of one length.

The model is AlpacaEval's `length_controlled_v1` (Dubois et al. 2024, arXiv 2404.04475; alpaca_eval
0.6.6, metrics/glm_winrate.py): a logistic regression of the preference on the tanh of the standardized
length difference, on the instruction's difficulty and on a constant. The judgements of two baselines
that were asked for longer and shorter outputs hold it in place (weight 0.2 together). The prediction
leaves the length out. Difficulties and those judgements are constants that the authors publish, and no
part of olmes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.data import files, hub
from olmes.data.places import DataFolders, as_folders, find_in
from olmes.errors import OlmesError
from olmes.tools.hashing import sha256

if TYPE_CHECKING:
    import numpy as np

BASELINE_WEIGHT = 0.1
"""Of a judgement of a baseline; 0.2, shared by two of them."""
FOLDS = 5
STRENGTHS = (-4.0, 4.0, 10)
"""Of the L1 penalty: exponents of 10 of the largest and the smallest, and how many are tried."""
SEED = 123
REPOSITORY = "tatsu-lab/alpaca_eval"
FILE_NAME = "df_gamed.csv"
REVISION = "2edc6fad8be6b14ea7230aabfd08188da6b8b814"
PUBLISHED = "97aeec3f1c7de6dee6fd31fe66f1702623f4614c3efe1c6fc5f4927cd5fd674d"
"""SHA-256 of the constants' file."""
FETCH = f"hf download {REPOSITORY} {FILE_NAME} --repo-type dataset --revision {REVISION}"
COLUMNS = ("index", "preference", "std_delta_len", "instruction_difficulty")


@dataclass(frozen=True, slots=True)
class Constants:
    """The published constants: judgements of the two baselines, and each instruction's difficulty."""

    lengths: tuple[float, ...]
    """Standardized length differences, one a judgement."""
    difficulties: tuple[float, ...]
    """Of the judgements' instructions."""
    preferences: tuple[float, ...]
    """From 0 to 1; NaN where there is none."""
    difficulty: dict[int, float]
    """By the instruction's row in the official file."""


def find_constants(folders: DataFolders) -> Path | None:
    """Where the constants lie: in the user's folders of data, in the hub's mirror, in the hub's cache.

    Args:
        folders: of data, as `--data` names them; the file is `alpaca_eval/df_gamed.csv` in one.
    """
    if found := find_in(as_folders(folders), f"alpaca_eval/{FILE_NAME}"):
        return found[1]
    if mirror := hub.mirror():
        return files.find(mirror / REPOSITORY, FILE_NAME)
    from huggingface_hub import try_to_load_from_cache

    for revision in (REVISION, "main"):
        cached = try_to_load_from_cache(
            REPOSITORY, FILE_NAME, revision=revision, repo_type="dataset"
        )
        if isinstance(cached, str):
            return Path(cached)
    return None


def is_published(path: Path) -> bool:
    """Whether the file is the published one, byte for byte, apart from compression.

    Raises:
        OlmesError: it cannot be read.
    """
    return sha256(files.uncompressed(path)) == PUBLISHED


def read_constants(path: Path) -> Constants:
    """The constants in `df_gamed.csv` or in JSON lines with its columns, plain or gzipped.

    Raises:
        OlmesError: the file cannot be read or is another one.
    """
    try:
        found = [[number(row[name]) for name in COLUMNS] for row in files.rows(path)]
    except (ValueError, KeyError, TypeError) as error:
        raise OlmesError(
            f"{path} is not AlpacaEval's {FILE_NAME} ({type(error).__name__}: {error}); fetch it again."
        ) from None
    difficulty: dict[int, float] = {}
    seen: set[float] = set()
    # As the published code looks it up: by the place of the row that has an instruction first.
    for place, (index, _, _, difficult) in enumerate(found):
        if index not in seen:
            seen.add(index)
            difficulty[place] = difficult
    return Constants(
        lengths=tuple(row[2] for row in found),
        difficulties=tuple(row[3] for row in found),
        preferences=tuple(row[1] for row in found),
        difficulty=difficulty,
    )


def number(cell: Any) -> float:
    """A cell's number; NaN where it is empty."""
    return math.nan if cell in ("", None) else float(cell)


def standardized(differences: Sequence[float]) -> list[float] | None:
    """Length differences over their standard deviation; None where there is no such number."""
    n = len(differences)
    if n < 2:
        return None
    mean = math.fsum(differences) / n
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in differences) / (n - 1))
    return [one / deviation for one in differences] if deviation > 0 else None


def length_controlled(
    preferences: Sequence[float],
    differences: Sequence[float],
    instructions: Sequence[int],
    constants: Constants,
) -> list[float] | None:
    """What each preference would be at equal lengths; their mean is the length-controlled win rate.

    Args:
        preferences: of the judge for the model's response, from 0 to 1.
        differences: characters of the baseline's response less those of the model's.
        instructions: rows of the official file.
        constants: the published ones.

    Returns:
        From 0 to 1, in order; None where there is no fit: fewer than two responses, no two length
        differences that differ, or an instruction whose difficulty is not known.
    """
    lengths = standardized(differences)
    if lengths is None or any(one not in constants.difficulty for one in instructions):
        return None
    import numpy as np

    difficulties = [constants.difficulty[one] for one in instructions]
    known = [at for at, one in enumerate(constants.preferences) if not math.isnan(one)]
    features = np.array(
        [[math.tanh(constants.lengths[at]), constants.difficulties[at], 0.0] for at in known]
        + [[math.tanh(one), hard, 1.0] for one, hard in zip(lengths, difficulties, strict=True)]
    )
    targets = np.array([*(constants.preferences[at] for at in known), *preferences])
    weights = np.array([BASELINE_WEIGHT] * len(known) + [1.0] * len(preferences))
    _, of_difficulty, constant = fitted(features, targets, weights)
    return [1.0 / (1.0 + math.exp(-(of_difficulty * hard + constant))) for hard in difficulties]


def fitted(
    features: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]
) -> list[float]:
    """Coefficients of the logistic regression at the penalty that cross-validation finds best.

    A preference between 0 and 1 is a row for either outcome, weighted by how much of it there is.

    Args:
        features: `[rows, features]`.
        targets: `[rows]`, from 0 to 1.
        weights: `[rows]`.
    """
    import numpy as np
    from sklearn.model_selection import GroupKFold

    rows = len(targets)
    doubled = np.concatenate([features, features])
    outcomes = np.repeat([1, 0], rows)
    shares = np.concatenate([targets, 1.0 - targets])
    both = np.concatenate([weights, weights])
    folds = list(GroupKFold(FOLDS).split(doubled, outcomes, np.tile(np.arange(rows), 2)))
    losses = []
    strengths = np.logspace(*STRENGTHS)
    for strength in strengths:
        lost = 0.0
        for inside, outside in folds:
            model = regression(strength).fit(
                doubled[inside], outcomes[inside], sample_weight=(shares * both)[inside]
            )
            said = np.clip(model.predict_proba(doubled[outside])[:, 1], 1e-15, 1 - 1e-15)
            true = np.where(outcomes == 1, shares, 1.0 - shares)[outside]
            crossed = true * np.log(said) + (1 - true) * np.log(1 - said)
            lost -= float(np.mean(crossed * both[outside]))
        losses.append(lost)
    best = regression(strengths[int(np.argmin(losses))])
    best.fit(doubled, outcomes, sample_weight=shares * both)
    return [float(one) for one in best.coef_[0]]


def regression(strength: float) -> Any:
    """A regression to be fitted, with an L1 penalty, the weaker the larger `strength`; no intercept."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=strength, l1_ratio=1.0, solver="liblinear", fit_intercept=False, random_state=SEED
    )
