"""The judge's form: the published words, and files that a user may replace."""

from __future__ import annotations

from pathlib import Path

import pytest

from olmes.errors import OlmesError
from olmes.synthesis.preferences.aspects import ASPECTS, judge_request, prompt_names
from olmes.synthesis.prompts import Prompts
from olmes.types import Generation

SCALES = {
    "instruction-following": (
        "1. Irrelevant", "2. Partial Focus", "3. Partial Compliance", "4. Almost There",
        "5. Comprehensive Compliance",
    ),
    "helpfulness": (
        "1. Severely Incorrect", "2. Partially Incorrect", "3. Correct", "4. Highly Informative",
        "5. Outstandingly Helpful",
    ),
    "honesty": ("1. Confidently Incorrect", "5. Correct and Confident", "N/A"),
    "truthfulness": ("1. Completely Hallucinated", "5. No Hallucination"),
}  # fmt: skip
GREEDY = Generation(max_tokens=100)


@pytest.mark.parametrize("name", list(ASPECTS))
def test_the_question_has_the_published_form(name: str) -> None:
    request = judge_request(Prompts(), ASPECTS[name], "Name {texts}.", ["Van", "Sevan"], GREEDY)
    system, user = (turn["content"] for turn in request.messages)
    assert system.startswith("Your role is to evaluate text quality based on given criteria.")
    assert system.endswith("The texts given are independent, and should be evaluated separately.")
    assert all(words in user for words in SCALES[name])
    assert user.endswith(
        "---\n## Annotation\n### Input\nInstruction: Name {texts}.\nTexts:\n"
        "<text 1> Van\n<text 2> Sevan\n### Output"
    )
    assert ("\nType: " in user) == (name in ("helpfulness", "truthfulness"))
    assert "#### Output for Text 1" in user
    assert (
        "Rating: [Rating for text 1]\nRational: [rational for the rating in short sentences]"
        in user
    )


def test_a_user_changes_a_guideline_and_the_card_tells(tmp_path: Path) -> None:
    (tmp_path / "judge-honesty.txt").write_text("# Candour\nRate from 1 to 5.\n")
    own = Prompts(str(tmp_path))
    request = judge_request(own, ASPECTS["honesty"], "?", ["a", "b"], GREEDY)
    assert request.messages[1]["content"].startswith("# Candour\nRate from 1 to 5.\n\n## Format:")
    names = prompt_names(list(ASPECTS.values()))
    changed = own.hashes(names).items() ^ Prompts().hashes(names).items()
    assert {name for name, _ in changed} == {"judge-honesty"}
    (tmp_path / "judge-template.txt").write_text("Rate {texts} for {aspect_guideline}.")
    with pytest.raises(OlmesError, match="no {instruction}"):
        judge_request(Prompts(str(tmp_path)), ASPECTS["honesty"], "?", ["a", "b"], GREEDY)
