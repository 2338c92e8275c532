"""Chat prompts: what stands in which turn when every part is used."""

from __future__ import annotations

from olmes.benchmark.prompts import chat

SHOTS = [("1+1? A:", "2 "), ("2+2?", "4")]


def test_the_final_words_end_every_user_turn() -> None:
    turns = chat("3+3?", exemplars=SHOTS, final=" Be short.")
    asked = [turn["content"] for turn in turns if turn["role"] == "user"]
    assert asked == ["1+1? A: Be short.", "2+2? Be short.", "3+3? Be short."]


def test_the_description_stands_before_the_first_user_turn_only() -> None:
    turns = chat("3+3?", exemplars=SHOTS, description="Sums. ")
    asked = [turn["content"] for turn in turns if turn["role"] == "user"]
    assert asked == ["Sums. 1+1? A:", "2+2?", "3+3?"]
    assert chat("3+3?", description="Sums. ")[0]["content"] == "Sums. 3+3?"


def test_the_prefill_moves_from_the_question_into_the_answer() -> None:
    turns = chat("3+3? A:", exemplars=SHOTS, prefill="A:")
    assert [turn["content"] for turn in turns] == ["1+1?", "A: 2", "2+2?", "A: 4", "3+3?"]
    assert chat("3+3? A:", prefill="A:")[0]["content"] == "3+3? A:"
