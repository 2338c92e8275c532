"""olmes: standardized evaluation of language models in post-training.

Public names load on first use, so that importing this package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from olmes.api import evaluate
    from olmes.client import Client
    from olmes.data.source import DataFile, HubSplit, Source
    from olmes.errors import OlmesError
    from olmes.export.frame import load
    from olmes.formulation import Formulation
    from olmes.metrics import Metric
    from olmes.record import Record
    from olmes.sequence import evaluate_sequence
    from olmes.suite import Suite
    from olmes.task import Task
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
    "Client": "olmes.client",
    "DataFile": "olmes.data.source",
    "Formulation": "olmes.formulation",
    "Generation": "olmes.types",
    "HubSplit": "olmes.data.source",
    "Instance": "olmes.types",
    "Judgement": "olmes.types",
    "Message": "olmes.types",
    "Metric": "olmes.metrics",
    "OlmesError": "olmes.errors",
    "Question": "olmes.types",
    "Record": "olmes.record",
    "Request": "olmes.types",
    "Response": "olmes.types",
    "Similarity": "olmes.types",
    "Source": "olmes.data.source",
    "Suite": "olmes.suite",
    "Task": "olmes.task",
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
