"""A checkpoint's own sampling settings, from the file its publisher puts beside the weights."""

from __future__ import annotations

from pathlib import Path

from olmes.models.checkpoint.fingerprint import read_json
from olmes.types import JsonObject

FILE = "generation_config.json"
SAMPLED = ("temperature", "top_p", "top_k", "min_p")


def sampling_of(folder: Path) -> JsonObject | None:
    """The settings by field of `Generation`; None where a checkpoint has no such file.

    `do_sample` false is greedy decoding. A file that leaves it out and names a temperature means to
    sample, as servers read it; one that names nothing is greedy. What changes nothing is left out.

    Raises:
        OlmesError: the file is not JSON.
    """
    if not (folder / FILE).is_file():
        return None
    own = read_json(folder / FILE)
    named = {name: own[name] for name in SAMPLED if own.get(name) is not None}
    found: JsonObject = {"temperature": 0.0}
    if own.get("do_sample", bool(named)):
        found["temperature"] = float(named.get("temperature", 1.0))
        if 0 < float(named.get("top_p", 1.0)) < 1:
            found["top_p"] = float(named["top_p"])
        if int(named.get("top_k", 0)) > 0:
            found["top_k"] = int(named["top_k"])
        if float(named.get("min_p", 0.0)) > 0:
            found["min_p"] = float(named["min_p"])
    penalty = own.get("repetition_penalty")
    if penalty not in (None, 1, 1.0):
        found["repetition_penalty"] = float(penalty)
    return found
