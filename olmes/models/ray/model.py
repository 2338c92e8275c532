"""One model, run by several engines on Ray: `--workers N` on this machine, `--ray` on a cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.models.options import ASKED
from olmes.models.ray.cluster import Cluster, check_installed, shape_of
from olmes.models.ray.engine import Report
from olmes.models.ray.fleet import Fleet, check_version
from olmes.models.spec import ModelSpec, load_model, parse_spec
from olmes.reasoning import Reader
from olmes.types import JsonObject, Request

PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size")
"""Options of vLLM by which one engine takes several GPUs."""


class RayModel(Model):
    """A model whose requests are answered by engines on Ray, one model an engine.

    Fingerprint and engine are those of a single process, so that a run may be started by one and
    resumed by the other. Ray is joined by the first request that needs it.

    Args:
        local: the model in this process; its weights are never loaded.
        make: makes the same model in an engine; it travels by pickle.
        address: of the cluster (see `Cluster`); None starts a Ray on this machine.
        workers: engines; None takes what the cluster has room for (see `shape_of`).
        gpus: that one engine needs, where there are any.

    Raises:
        OlmesError: from any method: there is no such cluster, no engine stays alive, or an engine's
            machine has another model, other versions or other hardware than the others.
    """

    def __init__(
        self,
        local: Model,
        make: Callable[[], Model],
        *,
        address: str | None = None,
        workers: int | None = None,
        gpus: int = 0,
    ) -> None:
        check_installed()
        self.local, self.make = local, make
        self.address, self.workers, self.gpus_each = address, workers, gpus
        self.name, self.title, self.cacheable = local.name, local.title, local.cacheable
        self.greedy_alike = local.greedy_alike
        self.checkpoint = getattr(local, "checkpoint", None)
        """Where its files are, from which its lineage is read."""
        self._fleet: Fleet | None = None
        self._cluster: Cluster | None = None

    @property
    def fingerprint(self) -> str:
        """64 hex digits over the content of the model's files."""
        return self.local.fingerprint

    @property
    def fingerprint_parts(self) -> dict[str, str]:
        """Hashes of what the fingerprint covers, by name."""
        return self.local.fingerprint_parts

    @cached_property
    def engine(self) -> JsonObject:
        """What changes outputs besides the weights; on a cluster's GPUs, as an engine there reports."""
        if (
            self.address
            and self.gpus_each
            and any(node.get("GPU") for node in self.cluster.nodes())
        ):
            return self.fleet.first_report()["engine"]
        return self.local.engine

    @property
    def encoding(self) -> str:
        """What decides how a request becomes tokens: the local model's."""
        return self.local.encoding

    @property
    def reader(self) -> Reader:
        """The local model's."""
        return self.local.reader

    @property
    def thinks(self) -> bool:
        """As the local model."""
        return self.local.thinks

    @property
    def merges_system(self) -> bool:
        """As the local model."""
        return self.local.merges_system

    @property
    def sampling(self) -> JsonObject:
        """The local model's."""
        return self.local.sampling

    @property
    def notes(self) -> Sequence[str]:
        """The local model's: it has encoded every request."""
        return self.local.notes

    @property
    def gpus(self) -> int:
        """GPUs of all engines; 0 before they are started."""
        return self._fleet.shape.engines * self._fleet.shape.gpus if self._fleet else 0

    @property
    def cluster(self) -> Cluster:
        """The cluster, joined."""
        if self._cluster is None:
            self._cluster = Cluster(self.address)
        return self._cluster

    @property
    def fleet(self) -> Fleet:
        """The engines, started."""
        if self._fleet is None:
            nodes = self.cluster.nodes()
            shape = shape_of(nodes, self.workers, self.gpus_each)
            have = sum(int(node.get("GPU", 0)) for node in nodes)
            if not self.address and shape.engines * shape.gpus > have:
                raise OlmesError(
                    f"{shape.engines} engines need {shape.engines * shape.gpus} GPUs and this "
                    f"machine has {have}; give a smaller --workers."
                )
            self._fleet = Fleet(self.cluster, self.make, shape, self._check)
        return self._fleet

    def _check(self, report: Report) -> None:
        """Refuse an engine whose answers would be another model's."""
        check_version(report)
        if report["fingerprint"] not in (None, self.fingerprint):
            raise OlmesError(
                f"{report['host']} has another model at '{self.name}' than this machine; give a "
                "folder that all nodes share, or copy the model to each."
            )
        if report["engine"] != self.engine:
            raise OlmesError(
                f"{report['host']} would answer as {report['engine']}, but this run's engine is "
                f"{self.engine}; use nodes with the same hardware and packages."
            )

    def check(self) -> None:
        """As the local model."""
        self.local.check()

    def encode(self, request: Request) -> EncodedPrompt:
        """The exact text and tokens of a request's prompt, before any truncation."""
        return self.local.encode(request)

    def refusal(self, request: Request) -> str:
        """The local model's."""
        return self.local.refusal(request)

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """Answer every request, once, in whichever engine."""
        if requests:
            self.fleet.answer(requests, done, loglikelihood=False)

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        """Score every request's continuations, once, in whichever engine."""
        if requests:
            self.fleet.answer(requests, done, loglikelihood=True)

    def close(self) -> None:
        """End the engines, and Ray where it was started for them."""
        try:
            if self._fleet is not None:
                self._fleet.close()
        finally:
            if self._cluster is not None:
                self._cluster.close()
            self._fleet = self._cluster = None
            self.local.close()


def load_model_on_ray(
    spec: str, *, ray: str | None = None, workers: int | None = None, **options: Any
) -> Model:
    """The model a user named, run by engines on Ray when `ray` or `workers` is given.

    Args:
        spec: as for `load_model`.
        ray: HOST:PORT of a cluster's head, or `auto` for the cluster this machine is part of.
        workers: engines; without `ray` on this machine.
        **options: as for `load_model`.

    Raises:
        OlmesError: as `load_model`; Ray is not installed; or several engines do not help such a
            model or on such a device.
    """
    local = load_model(spec, **options)
    if ray is None and workers is None:
        return local
    parsed = parse_spec(spec)
    if parsed.backend in ("openai", "replay"):
        why = "a server is asked at once for as much as it answers"
        if parsed.backend == "replay":
            why = "a recording needs no engine"
        raise OlmesError(f"'{spec}' gains nothing from --workers or --ray: {why}; leave them out.")
    if ray and ray.startswith("ray://"):
        raise OlmesError(
            f"--ray {ray}: responses cannot be streamed through Ray Client; run on a node of the "
            "cluster with --ray auto, or give its HOST:PORT."
        )
    device = options.get("device")
    if device and (device == "auto" or ":" in device):
        raise OlmesError(
            f"--device {device}: Ray gives each engine its GPUs; leave it out, or for a model "
            "larger than one GPU use vllm:MODEL?tensor_parallel_size=N."
        )
    sizes = getattr(local, "options", {})
    gpus = (
        0 if device in ("cpu", "mps") else math.prod(int(sizes.get(name, 1)) for name in PARALLEL)
    )
    options["asking"] = options.get("asking", ASKED).anywhere()
    make = partial(load_model, portable(parsed), **options)
    return RayModel(local, make, address=ray, workers=workers, gpus=gpus)


def portable(parsed: ModelSpec) -> str:
    """A model's name that means the same from another working folder."""
    name, mark, options = parsed.target.partition("?") if parsed.backend == "vllm" else (
        parsed.target, "", "",
    )  # fmt: skip
    path = Path(name).expanduser()
    if not name or not path.is_dir():
        return parsed.text
    prefix = "vllm:" if parsed.backend == "vllm" else ""
    return f"{prefix}{path.absolute()}{mark}{options}"
