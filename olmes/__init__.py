"""olmes: standardized evaluation of language models in post-training.

Public names load on first use, so that importing this package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from olmes.api import evaluate
    from olmes.benchmark.formulation import Formulation
    from olmes.benchmark.metrics import Metric
    from olmes.benchmark.source import DataFile, HubSplit, Source
    from olmes.benchmark.suite import Suite
    from olmes.benchmark.task import Task
    from olmes.client.client import Client
    from olmes.errors import OlmesError
    from olmes.export.frame import load
    from olmes.records.record import Record
    from olmes.sequence import evaluate_sequence
    from olmes.types import (
        Generation,
        Instance,
        Judgement,
        Message,
        Question,
        Request,
        Response,
        Similarity,
        Verdict,
    )

__version__ = "0.1.0"

PUBLIC = {
    "Client": "olmes.client.client",
    "DataFile": "olmes.benchmark.source",
    "Formulation": "olmes.benchmark.formulation",
    "Generation": "olmes.types",
    "HubSplit": "olmes.benchmark.source",
    "Instance": "olmes.types",
    "Judgement": "olmes.types",
    "Message": "olmes.types",
    "Metric": "olmes.benchmark.metrics",
    "OlmesError": "olmes.errors",
    "Question": "olmes.types",
    "Record": "olmes.records.record",
    "Request": "olmes.types",
    "Response": "olmes.types",
    "Similarity": "olmes.types",
    "Source": "olmes.benchmark.source",
    "Suite": "olmes.benchmark.suite",
    "Task": "olmes.benchmark.task",
    "Verdict": "olmes.types",
    "evaluate": "olmes.api",
    "evaluate_sequence": "olmes.sequence",
    "load": "olmes.export.frame",
}

__all__ = [
    "Client",
    "DataFile",
    "Formulation",
    "Generation",
    "HubSplit",
    "Instance",
    "Judgement",
    "Message",
    "Metric",
    "OlmesError",
    "Question",
    "Record",
    "Request",
    "Response",
    "Similarity",
    "Source",
    "Suite",
    "Task",
    "Verdict",
    "evaluate",
    "evaluate_sequence",
    "load",
]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'olmes' has no attribute '{name}'")
