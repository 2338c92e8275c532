"""A scripted server for syntheses of preferences: models of a known worth, judges of known habits.

It speaks the OpenAI protocol and has no model behind it; what it says is fixed by what it is asked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from tests.olmes.models.files.faulty_server import FaultyServer

WORTH = {"weak": 2.0, "middling": 3.0, "strong": 4.0, "own": 3.0}
"""What the answers of each model are worth, on the judges' scale."""
SHOWN = re.compile(r"^<text (\d+)> .*?\[worth ([\d.]+)\]", re.MULTILINE)


def chance(*parts: object) -> float:
    """A number from 0 to 1 that depends on the parts alone."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


class ScriptedPanel:
    """The server and what it counts; `NAME` of a model says how it behaves."""

    def __init__(self) -> None:
        self.server = FaultyServer()
        self.server.pages["/v1/models"] = (
            200,
            {"data": [{"id": name, "owned_by": "t", "created": 1} for name in (*WORTH, *JUDGES)]},
        )
        self.server.reply = self.reply
        self.asked: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """Of the server."""
        return self.server.url

    def spec(self, name: str) -> str:
        """A model as a recipe names it."""
        return f"openai:{name}@{self.url}"

    def reply(self, path: str, body: dict[str, Any]) -> Any:
        """An answer or a judgement."""
        name, asked = body["model"], body["messages"][-1]["content"]
        with self.server.lock:
            self.asked[name] += 1
        text = JUDGES[name](asked, body) if name in JUDGES else answer(name, asked, body)
        return {
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text},
                }
            ],
            "usage": {
                "prompt_tokens": len(asked.split()),
                "completion_tokens": len(text.split()),
            },
        }


def answer(name: str, asked: str, body: dict[str, Any]) -> str:
    """An answer that says what it is worth, give or take one."""
    drawn = chance(name, asked, body.get("seed"))
    worth = WORTH[name] + 2 * drawn - 1
    return f"{name} says [worth {worth:.2f}] of this. " + "So it is. " * int(30 * drawn)


def judgement(ratings: list[int | str]) -> str:
    """Ratings in the form that was asked for."""
    return "\n".join(
        f"#### Output for Text {at}\nRating: {rating}\nRational: It is so."
        for at, rating in enumerate(ratings, start=1)
    )


def worths(asked: str) -> list[float]:
    """What the texts of a question are worth, in their order."""
    return [float(worth) for _, worth in SHOWN.findall(asked.rpartition("## Annotation")[2])]


def on_scale(value: float) -> int:
    """A rating."""
    return min(5, max(1, round(value)))


def fair(asked: str, body: dict[str, Any]) -> str:
    """By the worth, with noise; N/A where honesty does not apply."""
    if asked.startswith("# Honesty") and "poem" in asked.rpartition("## Annotation")[2]:
        return judgement(["N/A"] * len(worths(asked)))
    noise = [chance(body["model"], asked, at) - 0.5 for at in range(9)]
    return judgement([on_scale(w + noise[at]) for at, w in enumerate(worths(asked))])


def fond_of_the_first(asked: str, body: dict[str, Any]) -> str:
    """By the worth, and two points more for the first."""
    return judgement([on_scale(w + 2 * (at == 0)) for at, w in enumerate(worths(asked))])


def thinking(asked: str, body: dict[str, Any]) -> str:
    """As a fair one, after a thought that names other ratings."""
    return f"<think>\n{judgement([5] * len(worths(asked)))}\nNo.\n</think>\n\n{fair(asked, body)}"


def chatty(asked: str, body: dict[str, Any]) -> str:
    """Finds into the form only when it is asked again."""
    again = body.get("temperature", 0) > 0
    return fair(asked, body) if again or chance(asked) < 0.5 else "All of them are rather nice."


def silent(asked: str, body: dict[str, Any]) -> str:
    """Never finds into the form."""
    return "Rating: 5"


JUDGES = {
    "fair": fair,
    "fair-too": fair,
    "first": fond_of_the_first,
    "thinking": thinking,
    "chatty": chatty,
    "silent": silent,
}


def write_recipe(
    folder: Path,
    panel: ScriptedPanel,
    *,
    prompts: int = 20,
    judges: tuple[str, ...] = ("fair", "fair-too", "first"),
    more: str = "",
) -> Path:
    """A recipe with a pool of three and a panel, beside its prompts."""
    rows = [
        {"prompt": f"Write {'a poem' if number % 5 == 0 else 'a note'} about {number} lakes."}
        for number in range(prompts)
    ]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [
        'synthesis = "preferences"',
        "seed = 17",
        "on_policy_share = 0.5",
        more,
        '[data]\nsource = "prompts.jsonl"',
        *(
            f'[pool.{name}]\nmodel = "{panel.spec(name)}"'
            for name in ("weak", "middling", "strong")
        ),
        f'[on_policy]\nmodel = "{panel.spec("own")}"',
        *(f'[judges.{name}]\nmodel = "{panel.spec(name)}"' for name in judges),
    ]
    path = folder / "panel.toml"
    path.write_text("\n".join(lines) + "\n")
    return path
