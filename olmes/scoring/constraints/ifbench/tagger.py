"""The part of speech of a text's first word, by an averaged perceptron (Honnibal 2013).

NLTK's `pos_tag`, by which the published check decides, is the same tagger with weights that only
NLTK's own download server has; these are the ones its author published as `textblob-aptagger`. Of
that package the weights alone are read: the rest needs a library we do not.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError

PACKAGE = "textblob_aptagger"
WEIGHTS = "trontagger-0.1.0.pickle"
BEFORE, BEFORE_THAT = "-START-", "-START2-"
AFTER = ("-END-", "-END2-")


class _Data(pickle.Unpickler):
    """Reads dicts, lists, sets, strings and numbers; a pickle that wants more is refused."""

    def find_class(self, module: str, name: str) -> type:
        if module in ("__builtin__", "builtins") and name == "set":
            return set
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a tagger's weights")


@cache
def weights() -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """The weight of each feature for each tag, and the words that always have one tag.

    Raises:
        OlmesError: the package with the weights is not installed.
    """
    spec = find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise OlmesError(
            "words:start_verb needs a part-of-speech tagger; "
            "install its weights with `pip install textblob-aptagger`."
        )
    with (Path(places[0]) / WEIGHTS).open("rb") as file:
        loaded: Any = _Data(file).load()
    return loaded[0], loaded[1]


def first_tag(tokens: Sequence[str]) -> str:
    """The Penn Treebank tag of the first of the tokens that begin a text.

    Args:
        tokens: the first three tokens; a shorter text has fewer. More do not change the tag.
    """
    by_feature, by_word = weights()
    word = tokens[0]
    if word in by_word:
        return by_word[word]
    scores: defaultdict[str, float] = defaultdict(float)
    for feature in _features(word, [*map(_shape, tokens[:3]), *AFTER]):
        for tag, weight in by_feature.get(feature, {}).items():
            scores[tag] += weight
    # Of equal scores the last tag by name wins, as in the original.
    return max(scores, key=lambda tag: (scores[tag], tag))


def _features(word: str, shapes: Sequence[str]) -> list[str]:
    """What the tagger looks at: the word, the two after it, and that none stands before it."""
    return [
        "bias",
        f"i suffix {word[-3:]}",
        f"i pref1 {word[0]}",
        f"i-1 tag {BEFORE}",
        f"i-2 tag {BEFORE_THAT}",
        f"i tag+i-2 tag {BEFORE} {BEFORE_THAT}",
        f"i word {shapes[0]}",
        f"i-1 tag+i word {BEFORE} {shapes[0]}",
        f"i-1 word {BEFORE_THAT}",
        f"i-1 suffix {BEFORE_THAT[-3:]}",
        f"i-2 word {BEFORE}",
        f"i+1 word {shapes[1]}",
        f"i+1 suffix {shapes[1][-3:]}",
        f"i+2 word {shapes[2]}",
    ]


def _shape(word: str) -> str:
    """The word in lower case, or what kind of number or compound it is."""
    if "-" in word and not word.startswith("-"):
        return "!HYPHEN"
    if word.isdigit() and len(word) == 4:
        return "!YEAR"
    return "!DIGITS" if word[0].isdigit() else word.lower()
