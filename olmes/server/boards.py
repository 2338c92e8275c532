"""The one place where the server meets the leaderboard: its page and its numbers.

The ranking is `olmes.comparison.boards`; its page comes from `olmes.reports`, by name, because the
engine knows no report.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from olmes.comparison import boards as ranking
from olmes.records.record import Record


def write_board_page(records: Sequence[Record], output: Path) -> None:
    """Write the page of the leaderboard."""
    importlib.import_module("olmes.reports.leaderboard_page").write_leaderboard_page(
        records, output
    )


def board_json(records: Sequence[Record]) -> dict[str, Any]:
    """The leaderboard as numbers.

    Returns:
        `boards`, each with `title`, `version`, `standard`, `official`, `runs` (best first: `id`,
        `model`, `created`, `mean` and `tasks`) and `pairs` (null where nothing could be compared;
        `a` and `b` are places in `runs`, differences are `a` less `b`); `not_ranked`, runs with
        the reason.
    """
    boards, left_out = ranking.boards_of(records)
    return {
        "boards": [
            {
                "title": board.title,
                "version": board.version,
                "standard": board.standard,
                "official": board.official,
                "runs": [line(record) for record in board.records],
                "pairs": pairs(ranking.pairwise(board.records)),
            }
            for board in boards
        ],
        "not_ranked": [
            {"id": record.id, "model": record.data["model"]["name"], "why": why}
            for record, why in left_out
        ],
    }


def line(record: Record) -> dict[str, Any]:
    """A ranked run."""
    mean = ranking.estimate_of(record)
    return {
        "id": record.id,
        "model": record.data["model"]["name"],
        "created": record.data["created"],
        "mean": {key: mean[key] for key in ("value", "stderr", "ci_low", "ci_high", "n")},
        "tasks": {
            name: {
                "metric": task["primary"],
                **{
                    key: task["metrics"][task["primary"]][key]
                    for key in ("value", "stderr", "ci_low", "ci_high", "n")
                },
            }
            for name, task in record.tasks.items()
        },
    }


def pairs(found: Any) -> list[dict[str, Any]] | None:
    """The comparisons of a board."""
    if found is None:
        return None
    return [{"a": a, "b": b, **difference.to_json()} for (a, b), difference in found.items()]
