"""The bundled training data is what its rules make, and what it teaches is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from olmes.benchmark.registry import load_task, module_from_file
from olmes.tools import jsonl
from olmes.trainers.data.bundled import bundled_data
from olmes.types import Doc, Response

small_data = module_from_file(Path(__file__).parent / "files/small_data.py")


@pytest.mark.parametrize("name", sorted(small_data.MADE))
def test_the_bundled_data_is_what_its_rules_make(name: str) -> None:
    assert list(jsonl.read(bundled_data()[name])) == small_data.MADE[name]()


def test_bundled_answers_are_right_and_rejected_ones_wrong() -> None:
    gsm8k, ifeval = load_task("gsm8k"), load_task("ifeval")

    def strict(doc: dict[str, Any], text: str) -> Any:
        return ifeval.score(doc, Response(text=text)).values["prompt_level_strict"]

    for topic, id_, given in small_data.constrained():
        doc: Doc = {"instruction_id_list": [id_], "kwargs": [given]}
        assert strict(doc, small_data.SHAPES[id_](topic, given)) == 1.0
        assert strict(doc, small_data.broken(topic, id_)) == 0.0
    sums = small_data.sums(small_data.Random(5))
    for one, _ in zip(sums, range(200), strict=False):
        asked = {"answer": f"#### {one.answer}"}
        assert one.answer >= 0
        assert (
            gsm8k.score(asked, Response(text=small_data.solved(one))).values["exact_match"] == 1.0
        )
        # The arithmetic that is shown is arithmetic: every a op b = c on the way holds.
        for left, right in shown_equations(one.steps):
            assert eval(left) == right, one.steps
        assert shown_equations(one.steps)[-1][1] == one.answer


def shown_equations(text: str) -> list[tuple[str, float]]:
    import re

    found = re.findall(r"(\d+(?: [-+*/] \d+)+) = (\d+)", text)
    return [(left, float(right)) for left, right in found]
