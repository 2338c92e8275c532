"""How something is run: the one set of options of command, `evaluate`, sequences, hook and watcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from olmes.errors import OlmesError
from olmes.judging.judges import Given
from olmes.models.options import Asking, EngineOptions
from olmes.requests.choosing import Limit, check_limit, parse_items
from olmes.seal.look import Look, check_name

Sampling = Literal["task", "model"]
DEFAULT_MODEL = "smollm2"
DEFAULT_OUT = Path("runs")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a suite or tasks are run on a model, whoever asks for it."""

    name: str = ""
    """What tables and pages call the model; '' is a short form of what the user wrote."""
    limit: Limit | None = None
    """Items a task, or below 1 the share of each task's, drawn with a fixed seed and spread over its
    sub-tasks; None runs all."""
    items: str | Sequence[str] = ()
    """Items by row of the official file or by id (`3,17`, `3-9`, `gsm8k/17`), to look into a few; the
    run is marked, and ranked beside none whose items were drawn."""
    data: tuple[Path, ...] = ()
    """Folders of benchmark files; without any they are where `olmes data list` says."""
    out: Path = DEFAULT_OUT
    """The store: the folder of the runs' folders and of the ledger."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Changes to formulations, such as `{"gsm8k.shots": 4}`."""
    judge: Given = None
    """Who answers for tasks that need a judge, written as a model is, or by task's name; tasks without
    one are not run, and the record says so."""
    judge_budget: int | None = None
    """Tokens each judge may read and write in one run; None sets no limit."""
    look: Look | None = None
    """Why held-out tasks are looked at, which they must not be without a reason; each model is a look
    of its own."""
    use_cache: bool = True
    """Whether responses are taken from and put into the cache shared by all runs."""
    ray: str | None = None
    """A Ray cluster to spread the requests over: HOST:PORT of its head, or `auto`."""
    workers: int | None = None
    """Engines on Ray; without `ray` on this machine."""
    scoring_processes: int | None = None
    """How many; None takes half of the processors."""
    dtype: str | None = None
    """Precision of a model's weights; None takes float32 on a CPU, the checkpoint's own on a GPU."""
    device: str | None = None
    """`cpu`, `cuda`, `cuda:1`, `mps`; None takes the best there is."""
    batch_size: int | None = None
    """Responses generated together; None takes as many as fit into memory."""
    max_length: int | None = None
    """Window in tokens; at most the model's, which None takes."""
    asking: Asking = field(default_factory=Asking)
    """How the model is asked: its template, its thinking, code it may bring."""
    k: tuple[int, ...] = ()
    """Of tasks with several responses an item: which pass@k and its like are shown; without them 1, 2,
    4, ... up to the responses an item."""
    sampling: Sampling = "task"
    """Whose sampling settings hold: the formulations', or the checkpoint's own generation_config."""

    def __post_init__(self) -> None:
        if self.sampling not in get_args(Sampling):
            raise OlmesError(f"--sampling {self.sampling}: choose one of task, model.")
        check_name("--name", self.name)
        check_limit(self.limit)
        if parse_items(self.items) and self.limit is not None:
            raise OlmesError("--limit draws items and --items names them; give one of the two.")

    @property
    def engine(self) -> EngineOptions:
        """The options of the model."""
        return EngineOptions(
            dtype=self.dtype,
            device=self.device,
            batch_size=self.batch_size,
            max_length=self.max_length,
            asking=self.asking,
        )

    @property
    def on_ray(self) -> bool:
        """Whether engines on Ray are asked for."""
        return self.ray is not None or self.workers is not None
