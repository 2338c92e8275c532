"""Generator processes on this machine: started, watched, and restarted when one dies."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from olmes.errors import OlmesError
from olmes.trainers.ppo.devices import recipe_on
from olmes.trainers.ppo.rollout import Order, Rollout
from olmes.trainers.ppo.waiting import Sight, Waiting
from olmes.trainers.ppo.weights import SharedWeights
from olmes.trainers.ppo.worker import GeneratorRecipe, WorkerFailure, serve

PAUSE = 0.2
"""Seconds between two looks at who is waited for."""


class Workers(Protocol):
    """Whoever carries generators: processes here, actors on a cluster."""

    @property
    def restarted(self) -> int:
        """Generators that died and were replaced."""
        ...

    def submit(self, order: Order) -> None:
        """Have an order made; returns at once."""
        ...

    def receive(self) -> list[Rollout]:
        """The next finished order's rollouts; waits for them.

        Raises:
            OlmesError: generators keep dying.
            RuntimeError: a generator raised; the message holds its trace.
        """
        ...

    def publish(self, weights: Mapping[str, Any], version: int) -> None:
        """Hand the policy's weights over; orders not yet begun are made with them."""
        ...

    def close(self) -> None:
        """End all generators."""
        ...


class ProcessWorker:
    """One generator process, and the thread that reads from it and replaces it.

    Each process has a pipe of its own, so that one killed in the middle of a message leaves nothing
    locked or half-read behind: its pipe ends, and what it owed is ordered from its successor.
    """

    def __init__(
        self, recipe: GeneratorRecipe, weights: SharedWeights, restarts: int,
        deliver: Callable[[list[Rollout] | BaseException], None],
    ) -> None:  # fmt: skip
        import torch
        from torch import multiprocessing

        self.context = multiprocessing.get_context("spawn")
        self.recipe = recipe
        self.weights = weights
        self.restarts = restarts
        self.deliver = deliver
        self.owed: list[Order] = []
        self.lock = threading.Lock()
        self.connection: Any = None
        self.process: Any = None
        self.closing = False
        self.restarted = 0
        self.beats = torch.zeros(1, dtype=torch.int64).share_memory_()
        self.sight = Sight(lambda: int(self.beats[0]))
        self.start()
        self.thread = threading.Thread(target=self.watch, name="ppo-generator", daemon=True)
        self.thread.start()

    def start(self) -> None:
        """Start a process and order everything that is owed."""
        ours, theirs = self.context.Pipe()
        process = self.context.Process(
            target=serve, args=(theirs, self.recipe, self.weights, self.beats), daemon=True
        )
        with self.lock:
            if self.closing:
                return
            process.start()
            # Ours to close: the pipe must end when the process does.
            theirs.close()
            self.process, self.connection = process, ours
            self.sight = Sight(lambda: int(self.beats[0]))
            for order in self.owed:
                self.send(order)

    def send(self, order: Order) -> None:
        """Write an order; a process that is gone is noticed where it is read from."""
        with suppress(OSError):
            self.connection.send(order)

    def submit(self, order: Order) -> None:
        """Owe an order."""
        with self.lock:
            self.owed.append(order)
            self.send(order)

    def watch(self) -> None:
        """Pass rollouts on until closed; restart a process that died."""
        deaths = 0
        while not self.closing:
            try:
                answer = self.connection.recv()
            except (EOFError, OSError):
                self.process.join()
                deaths += 1
                if deaths > self.restarts and not self.closing:
                    status = self.process.exitcode
                    self.deliver(OlmesError(
                        f"the generator process died {deaths} times in a row (exit status {status}; "
                        "-9 is often too little memory): lower generation_batch_size."
                    ))  # fmt: skip
                    return
                self.restarted += 1
                self.start()
                continue
            if isinstance(answer, WorkerFailure):
                if answer.sentence:
                    self.deliver(OlmesError(f"the generator: {answer.sentence}"))
                else:
                    self.deliver(RuntimeError(f"the generator process failed:\n{answer.trace}"))
                return
            deaths = 0
            with self.lock:
                self.owed.pop(0)
            self.deliver(answer)

    def replace(self) -> None:
        """Kill the process; `watch` starts another, which gets what this one owed."""
        with self.lock:
            self.process.kill()

    @property
    def name(self) -> str:
        """It, as a line names it."""
        return f"generator process {self.process.pid}"

    def close(self) -> None:
        """Kill the process: it holds nothing that is not ordered again."""
        with self.lock:
            self.closing = True
            self.process.kill()
        self.thread.join()
        self.process.join()
        self.connection.close()


class ProcessWorkers:
    """Several `ProcessWorker`s and the weights they share."""

    def __init__(
        self,
        recipe: GeneratorRecipe,
        weights: Mapping[str, Any],
        version: int,
        count: int,
        restarts: int,
        limit: float = math.inf,
    ) -> None:
        """Args: `limit`: seconds without a sign of life after which a process is replaced."""
        self.waiting = Waiting(limit)
        self.results: queue.SimpleQueue[list[Rollout] | BaseException] = queue.SimpleQueue()
        self.weights = SharedWeights(weights)
        self.weights.write(weights, version)
        self.workers = [
            ProcessWorker(recipe_on(recipe, i), self.weights, restarts, self.results.put)
            for i in range(count)
        ]

    @property
    def restarted(self) -> int:
        """Processes replaced so far."""
        return sum(worker.restarted for worker in self.workers)

    def submit(self, order: Order) -> None:
        """To the worker that owes least."""
        min(self.workers, key=lambda worker: len(worker.owed)).submit(order)

    def receive(self) -> list[Rollout]:
        """See `Workers.receive`."""
        self.waiting.begin()
        while True:
            try:
                answer = self.results.get(timeout=PAUSE)
                break
            except queue.Empty:
                self.look()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def look(self) -> None:
        """Say what is waited for, and replace a process that gives no sign of life."""
        owing = [worker for worker in self.workers if worker.owed]
        for worker in self.waiting.look([(one.name, one.sight, one) for one in owing]):
            worker.replace()

    def publish(self, weights: Mapping[str, Any], version: int) -> None:
        """Write the weights into the shared memory."""
        self.waiting.begin()
        # A process that was stopped while it read them has their lock.
        self.weights.write(weights, version, self.look_at_all)

    def look_at_all(self) -> None:
        """As `look`, at those too that owe nothing."""
        for worker in self.waiting.look([(one.name, one.sight, one) for one in self.workers]):
            worker.replace()

    def close(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.close()
        self.weights.close()
