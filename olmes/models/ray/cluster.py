"""Ray itself: joining a cluster or starting one on this machine, and how many engines fit.

Ray is imported where it is used: it takes seconds.
"""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from olmes.errors import OlmesError

OBJECT_STORE = 256 * 2**20
"""Bytes of shared memory of a Ray started here: requests and responses are small."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # What Ray prints goes to standard output, where a command's JSON is.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    "RAY_SCHEDULER_EVENTS": "0",
    # Ray's future behaviour, without its notice of it.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Environment in which Ray sends nothing home and prints nothing; read when it is imported."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How many engines to start, and what each of them takes of a node."""

    engines: int
    cpus: float
    """Processors of one engine; below 1 when there are more engines than processors."""
    gpus: int


def shape_of(nodes: Sequence[Mapping[str, float]], workers: int | None, gpus: int) -> Shape:
    """The engines that some nodes have room for.

    Args:
        nodes: what each node has, by Ray's names (`CPU`, `GPU`).
        workers: engines; None takes as many as the GPUs have room for, or else one a node.
        gpus: that one engine needs where there are any; 0 keeps to the processors.

    Raises:
        OlmesError: no node has so many GPUs.
    """
    most = max((int(node.get("GPU", 0)) for node in nodes), default=0)
    if gpus and most:
        room = sum(int(node.get("GPU", 0)) // gpus for node in nodes)
        if not room:
            raise OlmesError(
                f"one engine needs {gpus} GPUs of one machine and the largest has {most}; lower "
                "tensor_parallel_size, or add a larger machine to the cluster."
            )
        return Shape(workers or room, 1, gpus)
    processors = [node.get("CPU", 0.0) for node in nodes if node.get("CPU", 0.0) >= 1]
    if not processors:
        raise OlmesError("the Ray cluster has no processor to run on; add a node to it.")
    count = workers or len(processors)
    for cpus in range(int(sum(processors) // count), 0, -1):
        if sum(int(have // cpus) for have in processors) >= count:
            return Shape(count, cpus, 0)
    share = 2
    while sum(int(have * share) for have in processors) < count:
        share += 1
    return Shape(count, 1 / share, 0)


def check_installed() -> None:
    """Whether there is a Ray to run on, without importing it.

    Raises:
        OlmesError: there is none.
    """
    if importlib.util.find_spec("ray") is None:
        raise OlmesError("--workers and --ray need Ray; run `pip install 'olmes[ray]'`.")


def quiet_ray() -> Any:
    """Ray, imported so that it sends nothing home and prints nothing.

    Raises:
        ImportError: it is not installed.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    return ray


class Cluster:
    """A cluster that this process is part of.

    A Ray that this process has joined already is used, and left running; otherwise `close` leaves
    the cluster, or ends the one that was started.

    Args:
        address: HOST:PORT of the head, or `auto` for the cluster this machine is part of; None
            starts a Ray on this machine, for this process alone.

    Raises:
        OlmesError: there is no such cluster, or its versions of Ray and Python are others.
    """

    def __init__(self, address: str | None) -> None:
        check_installed()
        ray = self.ray = quiet_ray()
        self.joined = not ray.is_initialized()
        if self.joined:
            self._join(address)
        elif address not in (None, "auto", ray.get_runtime_context().gcs_address):
            raise OlmesError(
                f"this process is part of the Ray cluster at "
                f"{ray.get_runtime_context().gcs_address}; leave it with ray.shutdown() to use "
                f"the one at {address}."
            )
        self.here: str = ray.get_runtime_context().get_node_id()
        """This machine, as Ray calls it."""

    def _join(self, address: str | None) -> None:
        """Join or start a cluster."""
        import logging

        if address and address != "auto":
            check_reachable(address)
        alone = {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
        try:
            self.ray.init(
                address=address or "local",
                logging_level=logging.CRITICAL,
                log_to_driver=False,
                **({} if address else alone),
            )
        except (ConnectionError, TimeoutError, ValueError) as error:
            if not address:
                raise
            if "AuthToken" in f"{error} {error.__cause__}":
                raise OlmesError(
                    f"the Ray cluster at '{address}' needs its token; set RAY_AUTH_MODE=token, and "
                    "put the token into ~/.ray/auth_token or $RAY_AUTH_TOKEN."
                ) from error
            raise no_cluster(address) from error
        except RuntimeError as error:
            if "ersion mismatch" not in str(error):
                raise
            raise OlmesError(
                f"the Ray cluster at '{address}' runs other versions: {one_line(error)}; run olmes "
                "in the cluster's environment."
            ) from error

    def nodes(self) -> list[dict[str, float]]:
        """What each living node has."""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def close(self) -> None:
        """Leave the cluster, which ends a Ray that was started here."""
        if self.joined:
            self.ray.shutdown()


def check_reachable(address: str) -> None:
    """Whether anybody listens at an address: Ray itself would try for ten minutes.

    Raises:
        OlmesError: nobody does, or it is not an address.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, ValueError, OverflowError) as error:
        raise no_cluster(address) from error


def no_cluster(address: str) -> OlmesError:
    """The error where no cluster can be joined."""
    return OlmesError(
        f"there is no Ray cluster at '{address}'; start one with `ray start --head` and give its "
        "HOST:PORT, or leave out --ray and use this machine alone with --workers N."
    )


def one_line(error: object) -> str:
    """An error's words on one line, cut to a readable length."""
    return " ".join(str(error).split())[:500].rstrip(" .")
