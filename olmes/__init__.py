"""olmes: standardized evaluation of language models in post-training.

Public names load on first use, so that importing this package costs next to nothing. What tasks may
import is here and in `olmes.scoring`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names as below, for type checkers and editors
    from olmes.api import evaluate as evaluate
    from olmes.benchmark import exemplars as exemplars
    from olmes.benchmark import prompts as prompts
    from olmes.benchmark.formulation import Formulation as Formulation
    from olmes.benchmark.metrics import Metric as Metric
    from olmes.benchmark.source import DataFile as DataFile
    from olmes.benchmark.source import HubSplit as HubSplit
    from olmes.benchmark.source import Source as Source
    from olmes.benchmark.suite import Suite as Suite
    from olmes.benchmark.task import Scored as Scored
    from olmes.benchmark.task import Task as Task
    from olmes.client.client import Client as Client
    from olmes.errors import OlmesError as OlmesError
    from olmes.export.frame import load as load
    from olmes.records.record import Record as Record
    from olmes.reports.difference_frame import differences as differences
    from olmes.sandbox.program import Execution as Execution
    from olmes.sandbox.program import Limits as Limits
    from olmes.sandbox.program import Program as Program
    from olmes.sequence import evaluate_sequence as evaluate_sequence
    from olmes.tools.hashing import content_hash as content_hash
    from olmes.tools.jsonl import read_text as read_text
    from olmes.types import Doc as Doc
    from olmes.types import Generation as Generation
    from olmes.types import Instance as Instance
    from olmes.types import Judgement as Judgement
    from olmes.types import Message as Message
    from olmes.types import Question as Question
    from olmes.types import Request as Request
    from olmes.types import Response as Response
    from olmes.types import Similarity as Similarity
    from olmes.types import Verdict as Verdict
    from olmes.types import VerdictPart as VerdictPart

__version__ = "0.1.0"

PUBLIC = {
    "Client": "olmes.client.client",
    "DataFile": "olmes.benchmark.source",
    "Doc": "olmes.types",
    "Execution": "olmes.sandbox.program",
    "Formulation": "olmes.benchmark.formulation",
    "Generation": "olmes.types",
    "HubSplit": "olmes.benchmark.source",
    "Instance": "olmes.types",
    "Judgement": "olmes.types",
    "Limits": "olmes.sandbox.program",
    "Message": "olmes.types",
    "Metric": "olmes.benchmark.metrics",
    "OlmesError": "olmes.errors",
    "Program": "olmes.sandbox.program",
    "Question": "olmes.types",
    "Record": "olmes.records.record",
    "Request": "olmes.types",
    "Response": "olmes.types",
    "Scored": "olmes.benchmark.task",
    "Similarity": "olmes.types",
    "Source": "olmes.benchmark.source",
    "Suite": "olmes.benchmark.suite",
    "Task": "olmes.benchmark.task",
    "Verdict": "olmes.types",
    "VerdictPart": "olmes.types",
    "content_hash": "olmes.tools.hashing",
    "differences": "olmes.reports.difference_frame",
    "evaluate": "olmes.api",
    "evaluate_sequence": "olmes.sequence",
    "exemplars": "olmes.benchmark.exemplars",
    "load": "olmes.export.frame",
    "prompts": "olmes.benchmark.prompts",
    "read_text": "olmes.tools.jsonl",
}
"""Each public name with the module that holds it, or is it."""

if not TYPE_CHECKING:  # a checker that saw these would take any name for a public one
    __all__ = [*PUBLIC]

    def __getattr__(name: str) -> Any:
        if name not in PUBLIC:
            raise AttributeError(f"module 'olmes' has no attribute '{name}'")
        module = importlib.import_module(PUBLIC[name])
        return module if PUBLIC[name].endswith(f".{name}") else getattr(module, name)
