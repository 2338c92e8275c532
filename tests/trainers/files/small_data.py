"""The small training data that olmes brings: made by rule, in this project's own words.

`python tests/trainers/files/small_data.py` writes `trainers/data/small-*.jsonl` again,
the same bytes every time. Half of it is arithmetic in words, half are short facts told under a
constraint that a program can verify. Nothing is taken from a benchmark, and nothing of it is in the
demo data, but for `small-leaked`, which shows what decontamination finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from olmes.scoring.constraints.ifeval.instructions import IFEVAL
from olmes.tools import jsonl

FOLDER = Path(__file__).parents[3] / "trainers/data"
SEED = 2411
OFF = (-2, -1, 1, 10)
"""By how much the answer of a rejected solution is wrong."""
NAMES = ("Ada", "Bruno", "Chidi", "Dilek", "Emil", "Farah", "Goro", "Hanna", "Ines", "Jonas")
THINGS = ("pears", "stamps", "marbles", "pencils", "shells", "buttons", "cards", "plums")


@dataclass(frozen=True)
class Sum:
    """A word problem."""

    question: str
    steps: str
    answer: int


@dataclass(frozen=True)
class Topic:
    """A question with three facts that answer it, without commas."""

    question: str
    title: str
    facts: tuple[str, str, str]


def gather(rng: Random, name: str, thing: str) -> Sum:
    """A + b - c."""
    a, b = rng.randint(12, 60), rng.randint(8, 40)
    c = rng.randint(3, a)
    return Sum(
        f"{name} has {a} {thing} and finds {b} more. Then {c} of them are given away. "
        f"How many {thing} does {name} keep?",
        f"{name} has {a} + {b} = {a + b} {thing} at first. After {c} are given away there are "
        f"{a + b} - {c} = {a + b - c}.",
        a + b - c,
    )


def shelves(rng: Random, name: str, thing: str) -> Sum:
    """A x b + c."""
    a, b, c = rng.randint(3, 9), rng.randint(4, 12), rng.randint(2, 20)
    return Sum(
        f"{name} puts {thing} on {a} shelves, {b} on each, and has {c} left over. "
        f"How many {thing} are there in all?",
        f"On the shelves are {a} * {b} = {a * b} {thing}. With the {c} left over there are "
        f"{a * b} + {c} = {a * b + c}.",
        a * b + c,
    )


def share(rng: Random, name: str, thing: str) -> Sum:
    """A / b - c."""
    b, each = rng.randint(2, 8), rng.randint(5, 15)
    c = rng.randint(1, each - 1)
    return Sum(
        f"{b * each} {thing} are shared equally among {b} children. One of them, {name}, then loses "
        f"{c}. How many {thing} does {name} have now?",
        f"Each child gets {b * each} / {b} = {each} {thing}. {name} then has "
        f"{each} - {c} = {each - c}.",
        each - c,
    )


def walk(rng: Random, name: str, thing: str) -> Sum:
    """A x b x 2."""
    a, b = rng.randint(2, 9), rng.randint(3, 7)
    return Sum(
        f"The way from {name}'s house to the lake is {a} kilometres long. {name} walks there and "
        f"back on {b} days. How many kilometres is that?",
        f"There and back are 2 * {a} = {2 * a} kilometres. On {b} days that is "
        f"{2 * a} * {b} = {2 * a * b}.",
        2 * a * b,
    )


def price(rng: Random, name: str, thing: str) -> Sum:
    """C - a x b."""
    a, b = rng.randint(2, 9), rng.randint(2, 6)
    paid = a * b + rng.randint(1, 30)
    return Sum(
        f"{name} buys {a} {thing} for {b} coins each and pays with {paid} coins. "
        f"How many coins come back?",
        f"The {thing} cost {a} * {b} = {a * b} coins. So {paid} - {a * b} = {paid - a * b} "
        "coins come back.",
        paid - a * b,
    )


RULES: tuple[Callable[[Random, str, str], Sum], ...] = (gather, shelves, share, walk, price)

TOPICS = (
    Topic("Why do leaves fall in autumn?", "Falling leaves", (
        "Trees save water in the cold months.", "A thin layer of cork grows at the stem.",
        "The leaf dries and the wind takes it.")),
    Topic("How does a kettle boil water?", "The kettle", (
        "A coil at the bottom turns hot.", "The water above it rises and cooler water sinks.",
        "At one hundred degrees it turns to steam.")),
    Topic("Why is bread soft inside?", "Soft bread", (
        "The yeast eats some of the sugar and gives off a gas.",
        "The dough holds this gas in many small bubbles.",
        "In the oven the bubbles grow and then they set.")),
    Topic("What does a lighthouse do?", "The lighthouse", (
        "It sends a strong light over the sea.", "Ships see it and know where the coast is.",
        "Every tower blinks in its own rhythm.")),
    Topic("How do bees make honey?", "From flower to honey", (
        "Bees carry nectar home in a small pouch.", "In the hive they pass it from one to another.",
        "Their wings fan it until it is thick.")),
    Topic("Why does ice float?", "Floating ice", (
        "Water grows a little when it freezes.", "The same weight then takes more room.",
        "So ice is lighter than the water below it.")),
    Topic("How is paper made?", "Making paper", (
        "Wood is cut small and cooked to a pulp.", "The pulp is spread thin on a fine net.",
        "It is pressed and dried to a sheet.")),
    Topic("Why do cats purr?", "The purring cat", (
        "Small muscles in the throat move fast.", "The breath then hums on the way in and out.",
        "Cats do it when they feel safe and when they are hurt.")),
    Topic("What is a compass good for?", "The compass", (
        "Its needle is a small magnet.", "It turns until it points to the north.",
        "With a map it tells which way to go.")),
    Topic("How do locks on a canal work?", "A lock on a canal", (
        "A boat enters a chamber and the gate is shut.", "Water is let in or out until it is level.",
        "Then the other gate is opened and the boat goes on.")),
)  # fmt: skip


def solved(sum_: Sum, answer: int | None = None) -> str:
    """The steps and the closing words of GSM8K's protocol."""
    return f"{sum_.steps} So the answer is {sum_.answer if answer is None else answer}."


def sums(rng: Random) -> Iterator[Sum]:
    """Different word problems without end."""
    seen: set[str] = set()
    while True:
        made = rng.choice(RULES)(rng, rng.choice(NAMES), rng.choice(THINGS))
        if made.question not in seen:
            seen.add(made.question)
            yield made


def bullets(topic: Topic) -> str:
    """The three facts as a list."""
    return "\n".join(f"* {fact}" for fact in topic.facts)


SHAPES: dict[str, Callable[[Topic, dict[str, Any]], str]] = {
    "change_case:english_lowercase": lambda topic, _: " ".join(topic.facts).lower(),
    "change_case:english_capital": lambda topic, _: " ".join(topic.facts).upper(),
    "punctuation:no_comma": lambda topic, _: " ".join(topic.facts),
    "startend:quotation": lambda topic, _: f'"{" ".join(topic.facts)}"',
    "startend:end_checker": lambda topic, given: f"{' '.join(topic.facts)} {given['end_phrase']}",
    "detectable_format:title": lambda topic, _: f"<<{topic.title}>>\n{' '.join(topic.facts)}",
    "detectable_format:number_bullet_lists": lambda topic, _: bullets(topic),
}
"""How the facts are told so that an instruction is met."""
GIVEN: dict[str, tuple[dict[str, Any], ...]] = {
    "startend:end_checker": (
        {"end_phrase": "And that is all there is to it"}, {"end_phrase": "Ask me for more"},
    ),
    "detectable_format:number_bullet_lists": ({"num_bullets": 3},),
}  # fmt: skip


def constrained() -> Iterator[tuple[Topic, str, dict[str, Any]]]:
    """Every topic under every instruction, in a mixed order."""
    pairs = [
        (topic, id_, given) for topic in TOPICS for id_ in SHAPES for given in GIVEN.get(id_, ({},))
    ]
    Random(SEED).shuffle(pairs)
    yield from pairs


def asked(topic: Topic, id_: str, given: dict[str, Any]) -> str:
    """The question with its instruction."""
    return f"{topic.question} {IFEVAL.build(id_, given).describe()}"


def broken(topic: Topic, id_: str) -> str:
    """The facts told so that an instruction is not met."""
    if id_ == "punctuation:no_comma":
        return f"Well, {topic.facts[0]}"
    if id_.startswith("change_case"):
        return " ".join(fact.title() for fact in topic.facts)
    return " ".join(topic.facts[:2])


def user(text: str) -> list[dict[str, str]]:
    """A chat of one turn."""
    return [{"role": "user", "content": text}]


def small_sft() -> list[dict[str, Any]]:
    """120 word problems and 80 facts under a constraint, answered."""
    rng = Random(SEED)
    chats = [(one.question, solved(one)) for one, _ in zip(sums(rng), range(120), strict=False)]
    chats += [(asked(*one), SHAPES[one[1]](one[0], one[2])) for one in list(constrained())[:80]]
    rng.shuffle(chats)
    return [{"messages": [*user(q), {"role": "assistant", "content": a}]} for q, a in chats]


def small_dpo() -> list[dict[str, Any]]:
    """50 word problems, right and wrong; 30 instructions, met and not."""
    rng = Random(SEED + 1)
    pairs = [
        (one.question, solved(one), solved(one, one.answer + rng.choice(OFF)))
        for one, _ in zip(sums(rng), range(50), strict=False)
    ]
    pairs += [
        (asked(*one), SHAPES[one[1]](one[0], one[2]), broken(one[0], one[1]))
        for one in list(constrained())[:30]
    ]
    rng.shuffle(pairs)
    return [{"prompt": q, "chosen": good, "rejected": bad} for q, good, bad in pairs]


def small_rlvr() -> list[dict[str, Any]]:
    """60 word problems with GSM8K's verifier, 40 facts with IFEval's."""
    rng = Random(SEED + 2)
    rows: list[dict[str, Any]] = []
    for one, _ in zip(sums(rng), range(60), strict=False):
        doc: dict[str, Any] = {
            "question": one.question,
            "answer": f"{one.steps}\n#### {one.answer}",
        }
        verifier = {"task": "gsm8k", "doc": doc}
        rows.append({"messages": user(one.question), "verifiers": [verifier]})
    for topic, id_, given in list(constrained())[40:80]:
        prompt = asked(topic, id_, given)
        doc = {"prompt": prompt, "instruction_id_list": [id_], "kwargs": [given]}
        rows.append({"messages": user(prompt), "verifiers": [{"task": "ifeval", "doc": doc}]})
    rng.shuffle(rows)
    return rows


def small_pairs() -> list[dict[str, Any]]:
    """30 word problems and 30 instructions, none of them in `small_dpo`: a reward model's exam."""
    rng = Random(SEED + 3)
    taken = {row["prompt"] for row in small_dpo()}
    new = (one for one in sums(rng) if one.question not in taken)
    rows = [
        pair("arithmetic", one.question, solved(one), solved(one, one.answer + rng.choice(OFF)))
        for one, _ in zip(new, range(30), strict=False)
    ]
    rows += [
        pair("instruction", asked(*one), SHAPES[one[1]](one[0], one[2]), broken(one[0], one[1]))
        for one in list(constrained())[30:60]
    ]
    rng.shuffle(rows)
    return rows


def pair(subset: str, prompt: str, chosen: str, rejected: str) -> dict[str, Any]:
    """A preference as RewardBench has them."""
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, "subset": subset}


def chats_of(pairs: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Questions and answers as chats."""
    return [{"messages": [*user(q), {"role": "assistant", "content": a}]} for q, a in pairs]


def small_sums() -> list[dict[str, Any]]:
    """60 word problems, answered: a source of a mix."""
    found = zip(sums(Random(SEED + 3)), range(60), strict=False)
    return chats_of((one.question, solved(one)) for one, _ in found)


def small_facts() -> list[dict[str, Any]]:
    """60 facts told under a constraint: a source of a mix."""
    return chats_of(
        (asked(*one), SHAPES[one[1]](one[0], one[2])) for one in list(constrained())[:60]
    )


def small_broken() -> list[dict[str, Any]]:
    """The same questions, their constraints broken: the source of a mix that should be found."""
    return chats_of((asked(*one), broken(one[0], one[1])) for one in list(constrained())[:60])


def small_leaked() -> list[dict[str, Any]]:
    """The word problems, and among them six demo items of GSM8K, each spelled otherwise."""
    items = [row["question"] for row in jsonl.read(FOLDER.parents[1] / "tasks/demo/gsm8k.jsonl")]
    spelled: tuple[Callable[[str], str], ...] = (
        str,
        str.upper,
        lambda text: text.replace(",", "").replace(".", ""),
        lambda text: text.replace(" ", "\n"),
        lambda text: f"My teacher gave me this. {text} Please show the steps.",
        lambda text: " ".join(text.split()[: round(0.7 * len(text.split()))]),
    )
    leaked = [(spell(item), "I do not know.") for spell, item in zip(spelled, items, strict=False)]
    rows = small_sums() + chats_of(leaked)
    Random(SEED).shuffle(rows)
    return rows


MADE = {
    "small-sft": small_sft, "small-dpo": small_dpo, "small-rlvr": small_rlvr,
    "small-pairs": small_pairs, "small-sums": small_sums, "small-facts": small_facts,
    "small-broken": small_broken, "small-leaked": small_leaked,
}  # fmt: skip

if __name__ == "__main__":
    for name, make in MADE.items():
        jsonl.write(FOLDER / f"{name}.jsonl", make())
