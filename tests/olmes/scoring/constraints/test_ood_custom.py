"""IFEval-OOD and IFBench: what the checks of stand-alone prompts and of dropped types take."""

from __future__ import annotations

from typing import Any

import pytest

from olmes.scoring.constraints.ifbench.countries import AFRICA
from olmes.scoring.constraints.ifbench.instructions import IFBENCH, IFBENCH_BY_REFERENCE

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
STORY = " ".join(f"{letter}xx sings well." for letter in ALPHABET)
CAPITALS = (
    "Reykjavik, Helsinki, Oslo, Tallinn, Stockholm, Riga, Moscow, Copenhagen, Vilnius, Minsk, Dublin, "
    "Berlin, Amsterdam, Warsaw, London, Brussels, Kyiv, Prague, Luxembourg, Paris, Vienna, Bratislava, "
    "Budapest, Vaduz, Chisinau, Bern, Ljubljana, Zagreb"
)
AFRICAN = sorted((names[0] for names in AFRICA), reverse=True)
CITY = "ID,Country,City,Year,Count\n" + "1,Peru,Lima,2001,5\n" * 7
PRODUCT = "ProductID,Category,Brand,Price,Stock\n"
ROWS = "1,Toys,Acme,5,6\n"
STUDENT = '"StudentID"\t"Subject"\t"Grade"\t"Semester"\t"Score"\n'
MARKS = '"1"\t"Art"\t"A"\t"Fall"\t"90"\n'
OPTIONS = "\nA) a\nB) b\nC) c\nD) d\nE) e\n"


def quiz(*questions: str, options: str = OPTIONS) -> str:
    return "\n".join(f"Question {n}: {q}{options}" for n, q in enumerate(questions, 1))


GROWING = ("Who?", "Who was it?", "Who was it then?", "Who was it then and there?")
SHARED = {"reference_text": "The river is calm.", "N": 3}

# arguments | text | as stated | by the published check, by constraint
CASES: dict[str, list[tuple[dict[str, Any], str, int, int]]] = {
    "custom:character_reverse": [
        ({}, ".elgae dlab eht si SU eht fo lobmys lanoitan ehT", 1, 1),
        ({}, "elgae dlab ehT", 1, 1),
        ({}, "ELGAE DLAB", 1, 1),
        ({}, "The animal is the elgae dlab.", 0, 1),
        ({}, "The bald eagle.", 0, 0),
        ({}, "eagle bald", 0, 0),
    ],
    "custom:word_reverse": [
        ({}, "US the of symbol national the is eagle bald The", 1, 1),
        ({}, "eagle bald the is It", 1, 1),
        ({}, "Symbol the is eagle, bald the!", 1, 1),
        ({}, "eagle bald", 0, 1),
        ({}, "The bald eagle is the symbol, eagle bald", 0, 1),
        ({}, "The bald eagle is the symbol.", 0, 0),
    ],
    "custom:date_format_list": [
        ({}, "1805-12-02, 1815-06-18", 1, 1),
        ({}, "1805-12-02", 1, 1),
        ({}, "1796-02-29,1805-12-02", 1, 1),
        ({}, "1805-12-02, 1815-06-18.", 1, 0),
        ({}, "1805-00-00", 0, 1),
        ({}, "1805-02-29", 0, 1),
        ({}, "1905-12-02", 0, 0),
        ({}, "Here: 1805-12-02", 0, 0),
        ({}, "1805-12-02,", 0, 0),
    ],
    "custom:european_capitals_sort": [
        ({}, CAPITALS, 1, 0),
        ({}, CAPITALS.replace("Kyiv", "Kiev") + ".", 1, 0),
        ({}, CAPITALS.replace("Chisinau", "Chișinău").replace("Reykjavik", "Reykjavík"), 1, 0),
        ({}, CAPITALS.replace("Kyiv, ", ""), 0, 1),
        ({}, CAPITALS.replace("Oslo, ", ""), 0, 0),
        ({}, ", ".join(CAPITALS.split(", ")[::-1]), 0, 0),
    ],
    "custom:multiples": [
        ({}, "14, 21, 28, 35, 42, 49", 1, 1),
        ({}, "14\n21\n28\n35\n42\n49", 1, 1),
        ({}, "14,21,28,35,42 and 49.", 1, 1),
        ({}, "10 to 50: 14, 21, 28, 35, 42, 49", 0, 0),
        ({}, "14, 21, 28, 35, 42", 0, 0),
        ({}, "49, 42, 35, 28, 21, 14", 0, 0),
    ],
    "custom:reverse_newline": [
        ({}, "\n".join(AFRICAN), 1, 1),
        ({}, "\n".join(AFRICAN).replace("Sao Tome and", "São Tomé &"), 1, 1),
        ({}, "\n".join(f"{n}. {name}" for n, name in enumerate(AFRICAN, 1)), 1, 0),
        ({}, "\n".join(AFRICAN[:53]), 0, 1),
        ({}, "\n".join(["Zimbabwe"] * 52), 0, 1),
        ({}, "\n".join(AFRICAN[::-1]), 0, 0),
        ({}, "\n".join(AFRICAN[1:]), 0, 0),
    ],
    "custom:sentence_alphabet": [
        ({}, STORY, 1, 1),
        ({}, STORY.lower(), 1, 1),
        ({}, STORY.replace("Cxx", "“Cxx”"), 1, 0),
        ({}, STORY.replace("Bxx", "Axx"), 0, 0),
        ({}, STORY.replace(" Zxx sings well.", ""), 0, 0),
        ({}, "One sentence.", 0, 0),
    ],
    "custom:csv_city": [
        ({}, CITY, 1, 1),
        ({}, CITY.replace("Lima", '"Lima, Peru"'), 1, 1),
        ({}, CITY.replace("\n1", "\n\n1", 1), 1, 0),
        ({}, f"```\n{CITY}```", 0, 0),
        ({}, CITY.replace("ID", "Id"), 0, 0),
        ({}, CITY.replace("Lima", "Lima, Peru"), 0, 0),
        ({}, CITY + "1,Peru,Lima,2001,5", 0, 0),
        ({}, CITY.replace("Lima", "Li\rma"), 0, 0),
    ],
    "custom:csv_special_character": [
        ({}, PRODUCT + '1,Toys,"B&B",5,6\n' + ROWS * 13, 1, 1),
        ({}, PRODUCT + ROWS * 13 + '1,Toys,"B, C",5,6\n', 1, 1),
        ({}, PRODUCT + '1,Toys,"Ü#",5,6\n\n' + ROWS * 13, 1, 0),
        ({}, PRODUCT + '1,Toys,"B&B",5,6\n' + "1,2\n" * 13, 0, 1),
        ({}, PRODUCT + "1,Toys,B&B,5,6\n" + ROWS * 13, 0, 0),
        ({}, PRODUCT + '1,Toys,"BB",5,6\n' + ROWS * 13, 0, 0),
    ],
    "custom:csv_quotes": [
        ({}, STUDENT + MARKS * 3, 1, 1),
        ({}, STUDENT + MARKS * 2 + MARKS.replace("Art", "Art, Music"), 1, 1),
        ({}, f"{STUDENT}\n{MARKS * 3}\n", 1, 0),
        ({}, STUDENT.replace('"', "") + MARKS * 3, 0, 0),
        ({}, STUDENT + MARKS * 2 + MARKS.replace('"90"', "90"), 0, 0),
        ({}, (STUDENT + MARKS * 3).replace("\t", ","), 0, 0),
        ({}, STUDENT + MARKS * 2 + MARKS.replace('"90"', ""), 0, 0),
    ],
    "custom:mcq_count_length": [
        ({}, quiz(*GROWING), 1, 1),
        ({}, quiz(*GROWING, options="\n" + OPTIONS.lower()), 1, 1),
        ({}, quiz(*GROWING).replace("Question 2: ", "Question 2\n"), 1, 1),
        ({}, quiz(*GROWING, options=OPTIONS + "Answer: A) a"), 0, 1),
        ({}, quiz(*GROWING, options="\nA) a\nA) b\nA) c\nA) d\nA) e\n"), 0, 1),
        ({}, quiz(*GROWING[::-1]), 0, 0),
        ({}, quiz(*GROWING[:3]), 0, 0),
        ({}, "Here you are:\n" + quiz(*GROWING), 0, 0),
        ({}, quiz(*GROWING, options=OPTIONS.replace("E) e\n", "")), 0, 0),
    ],
    "count:countries": [
        ({"percentage": 2}, "From Paris to Rome.", 1, 1),
        ({"percentage": 1}, "in the United States", 1, 1),
        ({"percentage": 2}, "São Tomé and Côte d'Ivoire: Togo, Mali", 1, 1),
        ({"percentage": 2}, "From Paris to France.", 0, 0),
        ({"percentage": 1}, "turkey with chile", 0, 0),
        ({"percentage": 1}, "Omani Limas", 0, 0),
    ],
    "count:levenshtein": [
        (SHARED, "The river was calm.", 1, 1),
        (SHARED, "A river is calm.", 1, 1),
        (SHARED, "The river is calm", 1, 1),
        (SHARED, "The river is calm.", 0, 1),
        (SHARED, "The river is very calm.", 0, 0),
        (SHARED, "Nothing of the kind", 0, 0),
    ],
    "count:words_french": [
        ({"N": 3}, "This is un sentence. It est in English. C'est a good phrase.", 1, 1),
        ({"N": 2}, "the maison", 1, 1),
        ({"N": 2}, "the l’eau", 1, 1),
        (
            {"N": 3},
            "This is un sentence. It est in English. C'est a good chipmunk. But not in French.",
            0,
            0,
        ),
        ({"N": 2}, "the house", 0, 0),
        ({"N": 3}, "too short", 0, 0),
    ],
    "format:camel_case": [
        ({}, "firstNumber = 1", 1, 1),
        ({}, "def add(oneNumber, other):\n    return oneNumber + other", 1, 1),
        ({}, "for item in (x := [1]):\n    a, bC2 = item, 2", 1, 1),
        ({}, "print(1)", 0, 1),
        ({}, "first_number = 1", 0, 0),
        ({}, "FirstNumber = 1", 0, 0),
        ({}, "firstNUMBER = 1", 0, 0),
        ({}, "Here is the code:", 0, 0),
        ({}, "(" * 5000, 0, 0),
    ],
}


@pytest.mark.parametrize(
    ("id_", "arguments", "text", "stated", "published"),
    [(id_, *case) for id_, cases in CASES.items() for case in cases],
)
def test_verdicts(
    id_: str, arguments: dict[str, Any], text: str, stated: int, published: int
) -> None:
    assert IFBENCH.build(id_, arguments).check(text) == stated
    assert IFBENCH_BY_REFERENCE.build(id_, arguments).check(text) == published


@pytest.mark.parametrize("id_", CASES)
def test_three_pass_and_three_fail(id_: str) -> None:
    stated = [case[2] for case in CASES[id_]]
    assert stated.count(1) >= 3
    assert stated.count(0) >= 3
