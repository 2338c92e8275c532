"""Scoring processes that outlive a run: started once, used by every run on the same tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from olmes.benchmark.task import Task
from olmes.scoring.process.pool import ScoringPool


class SharedPool:
    """One pool for runs that follow one another; another set of tasks gets another pool."""

    def __init__(self) -> None:
        self.pool: ScoringPool | None = None
        self.scoring_processes: int | None = None

    @contextmanager
    def borrow(
        self, tasks: Mapping[str, Task], scoring_processes: int | None
    ) -> Iterator[ScoringPool]:
        """The pool for a run's tasks; one whose run broke off is not used again."""
        requested = ScoringPool(tasks, scoring_processes)
        if self.pool is None or (self.pool.setup, self.scoring_processes) != (
            requested.setup,
            scoring_processes,
        ):
            self.close()
            self.pool, self.scoring_processes = requested.__enter__(), scoring_processes
        try:
            yield self.pool
        except BaseException:  # jobs of the broken run must not be waited for by the next
            self.close()
            raise

    def close(self) -> None:
        """End the processes."""
        if self.pool is not None:
            self.pool.__exit__()
            self.pool = None
