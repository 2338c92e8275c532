"""A scripted author: a server that writes instructions of personas and answers them.

What it writes depends on what it is asked alone. Answers to constrained instructions are composed by
the oracle of the constraints, and every third one is left wrong.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from typing import Any

from olmes.tools.hashing import content_hash
from tests.olmes.models.files.faulty_server import FaultyServer

TOPICS = (
    "garden", "harvest", "timetable", "festival", "letter", "workshop", "journey", "recipe", "quarrel",
    "inventory", "lesson", "repair", "auction", "weather", "budget", "rehearsal", "delivery", "exam",
)  # fmt: skip


class Author:
    """The server; `asked` counts each request by what makes it one."""

    def __init__(self, port: int = 0) -> None:
        self.server = FaultyServer(port)
        self.server.reply = self.reply
        self.asked: Counter[str] = Counter()
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
        answer = written(text, int(seed[:8], 16), body)
        message = {"role": "assistant", "content": answer}
        return {
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {
                "prompt_tokens": len(text.split()),
                "completion_tokens": len(answer.split()),
            },
        }


def written(text: str, number: int, body: dict[str, Any]) -> str:
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
        return f"**User instruction:** Write freely about the {topic}."
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
    return f"A free answer, about the {topic}, of one line"
