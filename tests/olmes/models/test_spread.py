"""One model run by several engines on Ray: what is asked of it, and what it says when it cannot."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from olmes import OlmesError, Record, evaluate
from olmes.models.ray.cluster import Cluster, Shape, check_reachable, shape_of
from olmes.models.ray.fleet import portion
from olmes.models.ray.model import RayModel, load_model_on_ray, portable
from olmes.models.spec import parse_spec
from olmes.requests.callbacks import RunCallback
from olmes.types import Generation, Request, Response
from tests.factories import lasting

pytest.importorskip("ray", reason="needs Ray; pip install 'olmes[ray]'")

ITEMS = 28
"""Of the built-in sample."""
SETTINGS = {"gsm8k.shots": 1, "gsm8k.max_tokens": 60}


def load_engines() -> ModuleType:
    """The models of files/engines.py, which travel to Ray's processes by value."""
    import ray

    path = Path(__file__).parent / "files/engines.py"
    spec = importlib.util.spec_from_file_location("engines_of_tests", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    ray.cloudpickle.register_pickle_by_value(module)
    return module


@pytest.fixture(scope="module")
def engines() -> ModuleType:
    return load_engines()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Ray of this process, which the models that are made here find and leave alone."""
    started = Cluster(None)
    below = psutil.Process().children(recursive=True)
    yield started
    assert started.ray.is_initialized(), "a model ended a Ray that it had not started"
    started.close()
    assert not psutil.wait_procs(below, timeout=30)[1]


def engine_processes() -> list[psutil.Process]:
    """The engines below this process."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if any("ray::Engine" in part for part in process.cmdline()):
                found.append(process)
    return found


class Killer(RunCallback):
    """Kills an engine when so many responses have come, and counts what comes.

    Where none is there at that moment (the last one killed is being replaced) it kills at a later one.
    """

    def __init__(self, *kills: int) -> None:
        self.kills = set(kills)
        self.killed: list[int] = []
        self.responses = 0
        self.due = 0

    def answered(self, task: str, response: Response, origin: str) -> None:
        self.responses += 1
        self.due += self.responses in self.kills
        if self.due and (found := engine_processes()):
            self.due -= 1
            victim = found[len(self.killed) % len(found)]
            victim.send_signal(signal.SIGKILL)
            self.killed.append(victim.pid)
            psutil.wait_procs([victim], timeout=10)


def chats(count: int) -> list[Request]:
    return [
        Request(
            generation=Generation(max_tokens=4), messages=({"role": "user", "content": f"say {i}"},)
        )
        for i in range(count)
    ]


@pytest.fixture
def run_tiny(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Record]:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))

    def run(name: str, **options: Any) -> Record:
        return evaluate(
            "gsm8k", model=str(tiny_folder), settings=SETTINGS, out=tmp_path / name,
            scoring_processes=1, use_cache=False, **options,
        )  # fmt: skip

    return run


def same(left: Record, right: Record) -> bool:
    samples = "samples/gsm8k.jsonl"
    assert (left.folder / samples).read_bytes() == (right.folder / samples).read_bytes()
    assert left.folder.name == right.folder.name
    assert lasting(left) == lasting(right)
    return True


@pytest.mark.parametrize("kills", [(6,), pytest.param((1, 5, 12, 20, 27), marks=pytest.mark.slow)])
def test_ray_gives_the_record_of_one_process_whatever_is_killed(
    cluster: Cluster, run_tiny: Callable[..., Record], kills: tuple[Any, ...]
) -> None:
    killer = Killer(*kills)
    spread = run_tiny("spread", workers=2, callback=killer)
    assert len(set(killer.killed)) == len(kills)
    assert spread.complete
    assert killer.responses == ITEMS, "a response was lost, or came twice"
    assert same(spread, run_tiny("alone"))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Refusing", r"^the model cannot be read; copy it again\.$"),
        ("Dying", "3 in a row were lost .*died"),
        pytest.param("Breaking", "'RuntimeError: device-side assert'", marks=pytest.mark.slow),
        pytest.param("Other", "would answer as .*another", marks=pytest.mark.slow),
    ],
)
def test_an_engine_that_answers_nothing_ends_the_run(
    cluster: Cluster,
    engines: ModuleType,
    answer: Callable[..., list[Response]],
    kind: str,
    said: str,
) -> None:
    model = RayModel(engines.Echoing(), getattr(engines, kind), workers=1)
    with pytest.raises(OlmesError, match=said):
        answer(model, chats(4))
    model.close()


def test_an_engine_that_ends_after_its_last_response_takes_the_next_requests(
    cluster: Cluster, engines: ModuleType, answer: Callable[..., list[Response]]
) -> None:
    model = RayModel(engines.Lingering(), engines.Lingering, workers=2)
    for _ in range(3):
        assert [one.text for one in answer(model, chats(4))] == [f"say {i}" for i in range(4)]
    model.close()


def test_every_request_is_answered_once_by_whichever_engine(
    cluster: Cluster, engines: ModuleType, answer: Callable[..., list[Response]]
) -> None:
    model = RayModel(engines.Echoing(), engines.Echoing, workers=2)
    assert [one.text for one in answer(model, chats(40))] == [f"say {i}" for i in range(40)]
    scored = Request(
        generation=Generation(max_tokens=1),
        messages=({"role": "user", "content": "x"},),
        continuations=("a", "bcd"),
    )
    assert answer(model, [scored])[0].logprobs == (-1.0, -3.0)
    model.close()
    elsewhere = RayModel(engines.Echoing(), engines.Echoing, address="127.0.0.1:1")
    with pytest.raises(OlmesError, match=r"part of the Ray cluster .* ray\.shutdown\(\)"):
        answer(elsewhere, chats(1))


@pytest.mark.slow
def test_a_request_that_kills_its_engine_keeps_no_other_from_being_answered(
    cluster: Cluster, engines: ModuleType
) -> None:
    requests = chats(60)
    poison = Request(
        generation=Generation(max_tokens=4), messages=({"role": "user", "content": "poison"},)
    )
    requests.insert(7, poison)
    model = RayModel(engines.Echoing(), engines.Poisoned, workers=2)
    found: Counter[int] = Counter()
    with pytest.raises(OlmesError, match="no engine stays alive"):
        model.generate(requests, lambda at, response: found.update([at]))
    model.close()
    assert set(found) == set(range(61)) - {7}
    assert set(found.values()) == {1}


def test_one_engine_a_machine_or_a_gpu_or_as_many_as_are_asked_for() -> None:
    head, small, large, gpus = {"CPU": 0.0}, {"CPU": 2.0}, {"CPU": 16.0}, {"CPU": 8.0, "GPU": 4.0}
    assert shape_of([small], 2, 1) == Shape(2, 1, 0)
    assert shape_of([small], None, 1) == Shape(1, 2, 0)
    assert shape_of([small], 5, 1) == Shape(5, 1 / 3, 0)
    assert shape_of([head, small, small], None, 1) == Shape(2, 2, 0)
    assert shape_of([small, large], None, 1) == Shape(2, 8, 0)
    assert shape_of([large, large, large], 4, 0) == Shape(4, 8, 0)
    assert shape_of([head, gpus, gpus], None, 1) == Shape(8, 1, 1)
    assert shape_of([gpus, gpus], None, 4) == Shape(2, 1, 4)
    assert shape_of([gpus], 3, 2) == Shape(3, 1, 2), "a cluster may grow"
    assert shape_of([gpus], None, 0) == Shape(1, 8, 0)
    with pytest.raises(OlmesError, match="needs 8 GPUs of one machine and the largest has 4"):
        shape_of([gpus, gpus], None, 8)
    with pytest.raises(OlmesError, match="no processor"):
        shape_of([head], None, 0)


@pytest.mark.parametrize(
    ("total", "engines"), [*itertools.product((1, 2, 15, 33, 1319, 14_000), (1, 2, 8))]
)
def test_portions_shrink_and_nobody_is_left_without(total: int, engines: int) -> None:
    sizes, left = [], total
    while left:
        sizes.append(min(left, portion(total, left, engines, 16)))
        left -= sizes[-1]
    assert sum(sizes) == total
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] <= -(-total // engines), "one engine had more than its share"
    assert sizes[-1] <= 16 or len(sizes) == 1


def test_what_cannot_be_spread_says_so(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = tmp_path / "r.jsonl"
    recording.write_text('{"response": "x", "doc_id": 0}\n')
    tiny = str(tiny_folder)
    for spec, options, said in (
        ("openai:m@http://127.0.0.1:1", {"workers": 2}, "gains nothing"),
        (f"replay:{recording}", {"ray": "auto"}, "gains nothing"),
        (tiny, {"ray": "ray://h:10001"}, "Ray Client"),
        (tiny, {"workers": 2, "device": "cuda:1"}, "gives each engine its GPUs"),
        (tiny, {"workers": 2, "device": "auto"}, "gives each engine its GPUs"),
    ):
        with pytest.raises(OlmesError, match=said):
            load_model_on_ray(spec, **options)
    for address in ("127.0.0.1:1", "nowhere", "127.0.0.1:port", "127.0.0.1:99999"):
        with pytest.raises(OlmesError, match=f"no Ray cluster at '{address}'"):
            check_reachable(address)
    with pytest.raises(OlmesError, match="need a model.s name; give the model as a string"):
        evaluate("gsm8k", model=load_model_on_ray(tiny), workers=2, out=tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OlmesError, match=r"pip install 'olmes\[ray\]'"):
        load_model_on_ray(tiny, workers=2)


def test_a_folder_is_found_from_wherever_an_engine_runs(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_folder, tmp_path / "here")
    for spec, sent in (
        ("here", f"{tmp_path}/here"),
        ("hf:here", f"{tmp_path}/here"),
        ("vllm:here?tensor_parallel_size=2", f"vllm:{tmp_path}/here?tensor_parallel_size=2"),
        ("owner/name", "owner/name"),
        ("smollm2", "smollm2"),
    ):
        assert portable(parse_spec(spec)) == sent


def test_a_spread_model_is_known_by_what_it_is_alone(tiny_folder: Path) -> None:
    alone, spread = (
        load_model_on_ray(str(tiny_folder)),
        load_model_on_ray(str(tiny_folder), workers=2),
    )
    assert isinstance(spread, RayModel)
    assert spread.name == alone.name
    assert spread.fingerprint == alone.fingerprint
    assert spread.fingerprint_parts == alone.fingerprint_parts
    assert spread.engine == alone.engine
    assert spread.encode(chats(1)[0]) == alone.encode(chats(1)[0])
    assert spread._cluster is None, "Ray was joined before anything was asked"
