"""The stand-alone prompts with arguments: what their checks take and refuse, and what is drawn."""

from __future__ import annotations

from datetime import date
from random import Random
from typing import Any

import pytest

from olmes import OlmesError
from olmes.scoring.constraints.fresh import lists as lists
from olmes.scoring.constraints.fresh.custom import CUSTOM
from olmes.scoring.constraints.fresh.instructions import FRESH
from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.ifbench.compose import offend
from olmes.scoring.constraints.judging import judge

WHALE = {"question": "What is the largest animal?", "answer": "blue whale"}
MOON = {"event": "the landings", "first_year": 1969, "last_year": 1972}
NORTH = {"latitude": 58, "order": "from highest to lowest"}
SOUTH = {"latitude": 58, "order": "from lowest to highest"}
STEPS = {"low": 12, "high": 30, "step": 6}
CHESS = {"group": "the six kinds of chess pieces"}
CANADA = {"group": "the provinces of Canada, without the territories,"}
BOOKS = {"columns": ["BookID", "Title", "Author", "Year", "Pages"], "count": 2}
PLAIN = "BookID,Title,Author,Year,Pages\n"
QUOTED = '"BookID"\t"Title"\t"Author"\t"Year"\t"Pages"\n'
MARKED = '"1"\t"Tea"\t"Ann"\t"2001"\t"90"\n'
STORY = " ".join(f"{letter}nn sings well." for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
OPTIONS = "\nA) a\nB) b\nC) c\nD) d\nE) e\n"
QUIZ = {"topic": "tea", "count": 2}
PROVINCES = (
    "Saskatchewan\nQuebec\nPrince Edward Island\nOntario\nNova Scotia\nNewfoundland and Labrador\n"
    "New Brunswick\nManitoba\nBritish Columbia\nAlberta"
)

HOSTILE = (
    "\0",
    "\ud800",
    "a\rb",
    '"' * 9_999,
    '",' * 9_999,
    "9" * 50_000,
    "1969-07-20," * 9_999,
    "Question 1: \n" * 9_999,
    "A) a\n" * 9_999,
    "rook\n" * 9_999,
    "elahw " * 9_999,
    "² ٣ ½ ß İ",
)

# arguments | text | verdict, by constraint
CASES: dict[str, list[tuple[dict[str, Any], str, int]]] = {
    "custom:character_reverse": [
        (WHALE, ".elahw eulb eht si tI", 1),
        (WHALE, "ELAHW EULB", 1),
        (WHALE, "lamina tsegral eht si elahw eulb ehT", 1),
        (WHALE, "The blue whale.", 0),
        (WHALE, "whale blue", 0),
        (WHALE, "The largest animal is the elahw eulb", 0),
        (WHALE, ".elahw eulb: It is the blue whale", 0),
    ],
    "custom:word_reverse": [
        (WHALE, "whale blue the is It", 1),
        (WHALE, "Whale blue the is animal largest The.", 1),
        (WHALE, "animal largest the is whale, blue the", 1),
        (WHALE, "whale blue", 0),
        (WHALE, "It is the blue whale.", 0),
        (WHALE, "whale blue the is It: It is the blue whale", 0),
        (WHALE, "elahw eulb eht", 0),
    ],
    "custom:date_format_list": [
        (MOON, "1969-07-20, 1969-11-19", 1),
        (MOON, "1972-02-29.", 1),
        (MOON, "1969-01-01,1972-12-31", 1),
        (MOON, "1968-12-31", 0),
        (MOON, "1973-01-01", 0),
        (MOON, "1969-07-20, 1969-07-20", 0),
        (MOON, "1971-02-29", 0),
        (MOON, "20 July 1969", 0),
    ],
    "custom:european_capitals_sort": [
        (NORTH, "Reykjavik, Helsinki, Oslo, Tallinn, Stockholm", 1),
        (NORTH, "Reykjavík, Helsinki, Oslo, Tallinn, Stockholm.", 1),
        (SOUTH, "stockholm, tallinn, oslo, helsinki, reykjavik", 1),
        (SOUTH, "Reykjavik, Helsinki, Oslo, Tallinn, Stockholm", 0),
        (NORTH, "Reykjavik, Helsinki, Oslo, Tallinn, Stockholm, Riga", 0),
        (NORTH, "Reykjavik, Helsinki, Oslo, Stockholm, Tallinn", 0),
        (NORTH, "Here: Reykjavik, Helsinki, Oslo, Tallinn, Stockholm", 0),
    ],
    "custom:multiples": [
        (STEPS, "12, 18, 24, 30", 1),
        (STEPS, "12\n18\n24\n30\n", 1),
        (STEPS, "12 and 18 and 24 and 30.", 1),
        (STEPS, "12, 18, 24", 0),
        (STEPS, "12, 18, 24, 30, 36", 0),
        (STEPS, "30, 24, 18, 12", 0),
        (STEPS, "Multiples of 6: 12, 18, 24, 30", 0),
    ],
    "custom:reverse_newline": [
        (CHESS, "rook\nqueen\npawn\nknight\nking\nbishop", 1),
        (CHESS, "1. The Rook\n2. The Queen\n3. Pawn\n4. Knight\n5. King\n6. Bishop", 1),
        (CANADA, PROVINCES.replace("Quebec", "Québec").replace(" and ", " & "), 1),
        (CANADA, PROVINCES, 1),
        (CHESS, "bishop\nking\nknight\npawn\nqueen\nrook", 0),
        (CHESS, "rook\nqueen\npawn\nknight\nking", 0),
        (CHESS, "tower\nrook\nqueen\npawn\nknight\nking\nbishop", 0),
        (CHESS, "rook, queen, pawn, knight, king, bishop", 0),
    ],
    "custom:sentence_alphabet": [
        ({"topic": "tea"}, STORY, 1),
        ({"topic": "tea"}, STORY.replace(". ", ".\n"), 1),
        ({"topic": "tea"}, STORY.replace("Cnn", "“Cnn”"), 1),
        ({"topic": "tea"}, STORY.replace("Bnn", "Ann"), 0),
        ({"topic": "tea"}, STORY.removesuffix(" Znn sings well."), 0),
        ({"topic": "tea"}, "Ann sings well.", 0),
    ],
    "custom:csv_city": [
        (BOOKS, PLAIN + "1,Tea,Ann,2001,90\n" * 2, 1),
        (BOOKS, PLAIN + '1,"Tea, hot",Ann,2001,90\n' * 2, 1),
        (BOOKS, PLAIN + "\n1,Tea,Ann,2001,90\n\n" * 2, 1),
        (BOOKS, PLAIN + "1,Tea,Ann,2001,90\n", 0),
        (BOOKS, PLAIN + "1,Tea,Ann,2001,90\n" * 3, 0),
        (BOOKS, PLAIN.replace("Title", "Name") + "1,Tea,Ann,2001,90\n" * 2, 0),
        (BOOKS, PLAIN.replace(",", ";") + "1;Tea;Ann;2001;90\n" * 2, 0),
    ],
    "custom:csv_special_character": [
        (BOOKS, PLAIN + '1,"Tea & co",Ann,2001,90\n2,Tea,Ann,2001,90', 1),
        (BOOKS, PLAIN + '2,Tea,Ann,2001,90\n1,"Tea, hot",Ann,2001,90\n', 1),
        (BOOKS, PLAIN + '1,"#",Ann,2001,90\n' * 2, 1),
        (BOOKS, PLAIN + "1,Tea & co,Ann,2001,90\n" * 2, 0),
        (BOOKS, PLAIN + '1,"Tea",Ann,2001,90\n' * 2, 0),
        (BOOKS, PLAIN + '1,"#",Ann,2001,90\n' + "1,2\n", 0),
        (BOOKS, PLAIN + '1,"#",Ann,2001,90\n' * 3, 0),
    ],
    "custom:csv_quotes": [
        (BOOKS, QUOTED + MARKED * 2, 1),
        (BOOKS, QUOTED + "\n" + MARKED * 2, 1),
        (BOOKS, QUOTED + (MARKED * 2).replace("Tea", "Tea, hot"), 1),
        (BOOKS, QUOTED.replace('"', "") + MARKED * 2, 0),
        (BOOKS, QUOTED + MARKED, 0),
        (BOOKS, (QUOTED + MARKED * 2).replace("\t", ","), 0),
        (BOOKS, QUOTED + MARKED + MARKED.replace('"90"', "90"), 0),
    ],
    "custom:mcq_count_length": [
        (QUIZ, f"Question 1: Why?{OPTIONS}Question 2: Why not?{OPTIONS}", 1),
        (QUIZ, f"Question 1\nWhy?{OPTIONS}\nQuestion 2\nWhy not?{OPTIONS.lower()}", 1),
        (QUIZ, f"**Question 1.** Why?{OPTIONS}**Question 2.** Why not?{OPTIONS}", 1),
        (QUIZ, f"Question 1: Why not?{OPTIONS}Question 2: Why?{OPTIONS}", 0),
        (QUIZ, f"Question 1: Why?{OPTIONS}", 0),
        (QUIZ, f"Question 1: Why?{OPTIONS}Question 2: Why not?{OPTIONS}Answers: A, B", 0),
        (QUIZ, f"1. Why?{OPTIONS}2. Why not?{OPTIONS}", 0),
    ],
}


@pytest.mark.parametrize(
    ("id_", "arguments", "text", "stated"),
    [(id_, *case) for id_, cases in CASES.items() for case in cases],
)
def test_verdicts(id_: str, arguments: dict[str, Any], text: str, stated: int) -> None:
    assert FRESH.build(id_, arguments).check(text) == stated


def test_every_type_has_three_that_pass_and_three_that_fail() -> None:
    assert sorted(CASES) == sorted(kind.id for kind in CUSTOM)
    for cases in CASES.values():
        verdicts = [stated for _, _, stated in cases]
        assert verdicts.count(1) >= 3
        assert verdicts.count(0) >= 3


@pytest.mark.parametrize("kind", CUSTOM, ids=lambda kind: kind.id)
def test_drawn_prompts_can_be_met_and_missed(kind: type[OodConstraint]) -> None:
    drawn = {kind.draw(Random(seed)) for seed in range(120)}
    assert len(drawn) >= 9
    for constraint in drawn:
        assert FRESH.build(kind.id, constraint.arguments()) == constraint
        assert "{" not in constraint.describe()
        assert constraint.check(constraint.example())
        wrong = offend([constraint], [constraint])
        assert wrong
        assert not judge([constraint], wrong)[0]["loose"]


@pytest.mark.parametrize("kind", CUSTOM, ids=lambda kind: kind.id)
def test_hostile_texts_get_a_verdict(kind: type[OodConstraint]) -> None:
    constraint = kind.draw(Random(1))
    for text in HOSTILE:
        (part,) = judge([constraint], text)
        assert not part["strict"]
        assert not part["loose"]


@pytest.mark.parametrize(("question", "answer"), lists.QUESTIONS)
def test_whole_sentences_backwards_pass_for_every_question(question: str, answer: str) -> None:
    arguments = {"question": question, "answer": answer}
    by_letter = FRESH.build("custom:character_reverse", arguments)
    by_word = FRESH.build("custom:word_reverse", arguments)
    for sentence in (
        f"The answer to this is the {answer.title()}.",
        f"People say that it was {answer} on the whole, and no one was not sure of it.",
    ):
        assert by_letter.check(sentence[::-1])
        assert by_word.check(" ".join(sentence.split()[::-1]))
        assert not by_letter.check(sentence)
        assert not by_word.check(sentence)


def test_no_capital_is_near_a_latitude_that_is_asked_for() -> None:
    degrees = [latitude for _, latitude in lists.CAPITALS]
    assert degrees == sorted(degrees, reverse=True)
    assert min(abs(a - b) for a in degrees for b in lists.LATITUDES) > 0.1


def test_events_have_years_and_groups_members() -> None:
    for event, first, last in lists.EVENTS:
        assert event.startswith("the ")
        assert 1800 < first <= last <= date.max.year
    sizes = {group: len(set(lists.members(group).values())) for group in lists.GROUPS}
    assert sizes["the states of the United States"] == 50
    assert sizes["the member states of the European Union as of 2024"] == 27
    assert sizes["the letters of the Greek alphabet by name"] == 24
    assert sizes["the months of the year"] == sizes["the signs of the zodiac"] == 12
    assert sizes["the countries of South America"] == 12
    assert sizes["the provinces of Canada, without the territories,"] == 10
    assert min(sizes.values()) >= 6


@pytest.mark.parametrize(
    ("id_", "arguments", "said"),
    [
        ("custom:character_reverse", {**WHALE, "answer": "whale"}, "must be two words"),
        ("custom:date_format_list", {**MOON, "last_year": 1968}, "'last_year' must be 1969"),
        ("custom:european_capitals_sort", {**NORTH, "latitude": 57}, "'latitude' must be one of"),
        ("custom:european_capitals_sort", {**NORTH, "order": "sorted"}, "'order' must be"),
        ("custom:multiples", {**STEPS, "high": 11}, "'high' must be 12"),
        ("custom:multiples", {**STEPS, "step": 31}, "no multiple of 31 from 12 to 30"),
        ("custom:multiples", {**STEPS, "step": 0}, "'step' must be 1"),
        ("custom:reverse_newline", {"group": "the rivers"}, "there is no group 'the rivers'"),
        ("custom:mcq_count_length", {**QUIZ, "count": 1}, "'count' must be 2"),
        ("custom:csv_city", {**BOOKS, "columns": ["a", "b"]}, "must be five names"),
        ("custom:csv_city", {**BOOKS, "count": 0}, "'count' must be 1"),
    ],
)
def test_bad_arguments_are_named(id_: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(OlmesError, match=id_) as error:
        FRESH.item([id_], [arguments], key="7-1")
    assert said in str(error.value)
