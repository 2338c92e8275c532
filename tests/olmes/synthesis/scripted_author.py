"""A scripted author: a server that writes instructions of personas and answers them.

What it writes depends on what it is asked alone. Answers to constrained instructions are composed by
the oracle of the constraints, and every third one is left wrong.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from typing import Any

from olmes.synthesis.drawn_constraints import Drawing
from olmes.synthesis.persona_recipe import PersonaRecipe
from olmes.synthesis.personas import read_personas
from olmes.tools.hashing import content_hash
from tests.olmes.models.files.faulty_server import FaultyServer

TOPICS = (
    "garden", "harvest", "timetable", "festival", "letter", "workshop", "journey", "recipe", "quarrel",
    "inventory", "lesson", "repair", "auction", "weather", "budget", "rehearsal", "delivery", "exam",
)  # fmt: skip


class Author:
    """The server; `asked` counts each request by what makes it one."""

    def __init__(self, recipe: PersonaRecipe | None = None, port: int = 0) -> None:
        self.meets = Meets(recipe) if recipe else None
        self.server = FaultyServer(port)
        self.server.reply = self.reply
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, str] = {}
        self.lock = threading.Lock()

    @property
    def model(self) -> str:
        return f"openai:author@{self.server.url}"

    def close(self) -> None:
        self.server.close()

    def reply(self, path: str, body: dict[str, Any]) -> Any:
        text = body["messages"][-1]["content"] if "messages" in body else ""
        seed = content_hash([text, body.get("seed")])
        with self.lock:
            if int(body.get("max_tokens") or body.get("max_completion_tokens") or 0) > 32:
                self.asked[seed] += 1
        answer = written(text, int(seed[:8], 16), body, self.meets)
        self.answers[seed] = answer
        message = {"role": "assistant", "content": answer}
        return {
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {
                "prompt_tokens": len(text.split()),
                "completion_tokens": len(answer.split()),
            },
        }


class Meets:
    """Answers that meet the constraints of a recipe's instructions."""

    def __init__(self, recipe: PersonaRecipe) -> None:
        table = recipe.constrained
        self.drawing = Drawing(table.task, recipe.seed, table.fewest, table.most)
        personas = read_personas(recipe.personas, recipe.seed)
        self.numbers = {personas.of("if", n)[0]: n for n in range(table.instructions)}
        self.lock = threading.Lock()

    def answer(self, prompt: str) -> str:
        """An answer to an instruction of this author; nothing to another."""
        persona, asks, _ = prompt.partition(" asks you to write about")
        if not asks:
            return ""
        with self.lock:
            drawn = self.drawing.of(self.numbers[persona], persona)
            assert drawn
            request = prompt.split("\n")[0]
            return (
                self.drawing.task.meeting(self.drawing.doc(request, drawn.told, drawn.late)) or ""
            )


def written(text: str, number: int, body: dict[str, Any], meets: Meets | None) -> str:
    """What the author says."""
    topic = TOPICS[number % len(TOPICS)]
    if text.startswith("Create a verifiable instruction"):
        persona = text.split("\n")[1]
        wanted = text.partition("verifiable constraint(s): ")[2].partition("\n3.")[0]
        wanted = re.sub(r"\(\d\) ", "", wanted)
        if number % 10 == 0:
            return "I would rather not."
        return f"User instruction: {persona} asks you to write about the {topic}. {wanted}"
    if text.startswith("Rewrite the given instruction"):
        return f"**User instruction:** Write freely about the {topic} in {number % 1_000_000} ways."
    if text.startswith("Create a math problem"):
        persona = text.split("\n")[1]
        return (
            f"Math problem: {persona} counts {number % 90} items twice for the {topic}. How many?"
        )
    if text.startswith("Provide solution to the given math"):
        count = 2 * int(re.findall(r"counts (\d+) items", text)[0])
        odd = body.get("seed", 0) % 4 == 3
        return (
            f"Twice is {count}.\n"
            f"Final Answer: The final answer is ${count + odd}$. I hope it is correct."
        )
    if "stackoverflow" in text:
        persona = text.split("\n")[0]
        return f"Question: Write a python function to double a number for {persona}. Topic: {topic}"
    if text.startswith("Provide solution to the given python"):
        wrong = number % 5 == 0
        return f"```python\ndef double(x):\n    return x * {3 if wrong else 2}\n```"
    if text.startswith("Write tests"):
        return (
            "assert double(2) == 4\nimport os\nassert double(0) == 0\nassert True\nprint(double(1))"
        )
    met = ""
    if meets and text.startswith("Provide a response") and number % 3:
        asked = text.partition("Instruction: ")[2].rpartition("\nNote that")[0]
        met = meets.answer(asked)
    return met or f"A free answer, about the {topic}, of one line"
