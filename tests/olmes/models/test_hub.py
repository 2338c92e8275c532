"""Models of the hub: revisions, what is fetched, and what is said where the hub gives nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.models.checkpoint.lineage import family, training_step
from olmes.models.checkpoint.places import HubCheckpoint, LocalCheckpoint, find_checkpoint
from olmes.models.hf.model import HFModel
from olmes.models.spec import load_model
from olmes.sequence import expand
from olmes.types import Generation, Request
from tests.olmes.models.fake_hub import TOKEN, FakeHub, serving

REQUEST = Request(generation=Generation(max_tokens=3), prompt="Mary")
Branch = Callable[..., Path]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """An empty hub on the loopback, an empty cache, no token."""
    from huggingface_hub import constants

    with serving() as hub:
        monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        use(hub.url, monkeypatch)
        yield hub


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `HF_ENDPOINT` says before the library is imported."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    # Its waits between tries, 23 seconds of a hub that is away, are the library's and not ours.
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def branch(tiny_folder: Path, tmp_path: Path) -> Branch:
    """`branch(name)`: a copy of the tiny checkpoint whose weights are its own."""

    def make(name: str, **files: str) -> Path:
        from safetensors.numpy import load_file, save_file

        folder = Path(shutil.copytree(tiny_folder, tmp_path / "branches" / name))
        tensors = load_file(folder / "model.safetensors")
        first = min(tensors)
        tensors[first] = tensors[first] + len(str(name)) / 64
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        for file, text in files.items():
            (folder / file).write_text(text)
        return folder

    return make


def hf(name: str) -> HFModel:
    model = load_model(name, device="cpu")
    assert isinstance(model, HFModel)
    return model


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("owner/name", HubCheckpoint("owner/name")),
        ("owner/name@step_60", HubCheckpoint("owner/name", "step_60")),
        ("name@v1.0", HubCheckpoint("name", "v1.0")),
        ("owner/name@refs/pr/3", HubCheckpoint("owner/name", "refs/pr/3")),
        (
            "owner/name@stage1-step10-tokens5B",
            HubCheckpoint("owner/name", "stage1-step10-tokens5B"),
        ),
        ("owner/name@" + "ab" * 20, HubCheckpoint("owner/name", "ab" * 20)),
    ],
)
def test_a_revision_is_written_behind_an_at(target: str, expected: HubCheckpoint) -> None:
    assert find_checkpoint(target) == expected


def test_a_folder_with_an_at_in_its_name_is_that_folder(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_folder, "owner/name@step1")
    assert find_checkpoint("owner/name@step1") == LocalCheckpoint(Path("owner/name@step1"))
    assert load_model("owner/name@step1").title == "name@step1"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("owner/name:step1000", "written owner/name@step1000"),
        ("owner/name?revision=step1000", "written NAME@REVISION"),
        ("owner/name@", "there is no folder"),
    ],
)
def test_other_ways_to_name_a_revision_say_how(name: str, hint: str) -> None:
    with pytest.raises(OlmesError, match=hint):
        load_model(name)


def test_each_branch_is_its_own_model_and_its_commit_is_known(hub: FakeHub, branch: Branch) -> None:
    hub.add("owner/tiny", main=branch("main"), step_60=branch("step_60"))
    main, step = hf("owner/tiny"), hf("owner/tiny@step_60")
    assert main.fingerprint != step.fingerprint
    assert isinstance(step.checkpoint, HubCheckpoint)
    commit = step.checkpoint.commit
    assert commit == hub.commit("owner/tiny", "step_60")
    assert hf(f"owner/tiny@{commit}").fingerprint == step.fingerprint
    assert (family(step), training_step(step)) == ("owner/tiny", 60)
    assert (family(main), training_step(main)) == ("owner/tiny", None)
    assert step.title == "owner/tiny@step_60"
    step.encode(REQUEST)
    step.check()


def test_only_the_weights_that_are_loaded_are_fetched(
    hub: FakeHub, tmp_path: Path, branch: Branch
) -> None:
    from safetensors.numpy import load_file, save_file

    whole = branch("whole")
    for other in ("consolidated.safetensors", "model.fp16.safetensors", "pytorch_model.bin"):
        shutil.copy(whole / "model.safetensors", whole / other)
    (whole / "original").mkdir()
    shutil.copy(whole / "model.safetensors", whole / "original" / "model.safetensors")
    sharded = branch("sharded")
    tensors = load_file(sharded / "model.safetensors")
    parts = {
        name: f"model-0000{at % 2 + 1}-of-00002.safetensors" for at, name in enumerate(tensors)
    }
    for part in set(parts.values()):
        some = {name: one for name, one in tensors.items() if parts[name] == part}
        save_file(some, sharded / part, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": parts}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))
    (sharded / "model.safetensors").rename(sharded / "consolidated.safetensors")
    hub.add("owner/tiny", main=whole, sharded=sharded)

    model = hf("owner/tiny")
    model.encode(REQUEST)
    assert not weights_among(hub)
    _ = model.fingerprint
    assert weights_among(hub) == ["model.safetensors"]
    hub.fetched.clear()
    _ = hf("owner/tiny@sharded").fingerprint
    assert weights_among(hub) == sorted(set(parts.values()))


def weights_among(hub: FakeHub) -> list[str]:
    names = [one.rsplit("/", 1)[1] for one in hub.fetched]
    return sorted(name for name in names if name.endswith((".safetensors", ".bin")))


def refusal(name: str) -> str:
    with pytest.raises(OlmesError) as caught:
        hf(name).encode(REQUEST)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_way_in_which_the_hub_gives_nothing_is_a_sentence_of_its_own(
    hub: FakeHub, branch: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    hub.add("owner/gated", main=branch("g"))
    hub.gated.add("owner/gated")
    hub.add("owner/open", main=branch("o"), step_1=branch("o1"))
    said = {
        "gated": refusal("owner/gated"),
        "missing": refusal("owner/missing"),
        "revision": refusal("owner/open@step_2"),
    }
    hub.broken = 503
    said["broken"] = refusal("owner/other")
    hub.broken = 0
    with monkeypatch.context() as away:
        away.setattr(constants, "HF_HUB_OFFLINE", True)
        said["offline"] = refusal("owner/other")
    use("http://127.0.0.1:9", monkeypatch)
    said["unreachable"] = refusal("owner/other")
    assert len(set(said.values())) == len(said)
    for kind, words in {
        "gated": ("request access at", "owner/gated", "HF_TOKEN"),
        "missing": ("no public model", "check the name", "HF_TOKEN"),
        "revision": ("no branch, tag or commit 'step_2'", "main, step_1"),
        "broken": ("HTTP 503", "again later"),
        "offline": ("HF_HUB_OFFLINE is set", "unset"),
        "unreachable": ("http://127.0.0.1:9 cannot be reached", "HF_ENDPOINT"),
    }.items():
        assert all(word in said[kind] for word in words), said[kind]


def test_a_token_opens_what_is_gated_or_private(
    hub: FakeHub, branch: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("owner/gated", main=branch("g"))
    hub.gated.add("owner/gated")
    hub.add("owner/private", main=branch("p"))
    hub.private.add("owner/private")
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert "the account of your token has none yet" in refusal("owner/gated")
    assert "must be a token that may read it" in refusal("owner/private")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name in ("owner/gated", "owner/private"):
        assert hf(name).fingerprint


def test_what_is_cached_is_used_when_the_hub_is_away(
    hub: FakeHub, branch: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    hub.add("owner/tiny", main=branch("m"), step_1=branch("s"), step_20=branch("t"))
    known = {name: hf(name).fingerprint for name in ("owner/tiny", "owner/tiny@step_1")}
    use("http://127.0.0.1:9", monkeypatch)
    assert {name: hf(name).fingerprint for name in known} == known
    assert "cannot be reached" in refusal("owner/tiny@step_20")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert {name: hf(name).fingerprint for name in known} == known
    assert expand(["owner/tiny@step_*"]) == ["owner/tiny@step_1"]


def test_settings_alone_in_the_cache_are_no_model(
    hub: FakeHub, branch: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("owner/tiny", main=branch("m"))
    hf("owner/tiny").encode(REQUEST)
    use("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(OlmesError, match="cannot be reached|has only part of"):
        _ = hf("owner/tiny").fingerprint


def test_a_pattern_of_branches_is_in_the_order_of_their_steps(hub: FakeHub, branch: Branch) -> None:
    names = ("main", "step_100", "step_20", "step_3", "notes")
    hub.add("owner/tiny", **dict.fromkeys(names, branch("x")))
    at = "owner/tiny@{}".format
    steps = [at(f"step_{step}") for step in (3, 20, 100)]
    assert expand(["owner/tiny@step*"]) == steps
    assert expand(["hf:owner/tiny@step_[0-9]*"]) == [f"hf:{name}" for name in steps]
    assert expand(["vllm:owner/tiny@step*?tensor_parallel_size=2"]) == [
        f"vllm:{name}?tensor_parallel_size=2" for name in steps
    ]
    # A base model first, the main branch of the same training last.
    assert expand(["owner/tiny", "owner/tiny@step*", "owner/base"]) == [
        "owner/base", *steps, "owner/tiny",
    ]  # fmt: skip
    with pytest.raises(OlmesError, match="no branch or tag of 'owner/tiny' fits 'epoch"):
        expand(["owner/tiny@epoch*"])
    with pytest.raises(OlmesError, match="no public model"):
        expand(["owner/missing@step*"])


def test_stages_of_a_training_follow_one_another(hub: FakeHub, branch: Branch) -> None:
    names = (
        "stage2-ingredient1-step50-tokens3B",
        "stage1-step1000-tokens5B",
        "stage1-step90-tokens1B",
    )
    hub.add("owner/tiny", **dict.fromkeys(names, branch("x")))
    assert expand(["owner/tiny@stage*"]) == [
        "owner/tiny@stage1-step90-tokens1B",
        "owner/tiny@stage1-step1000-tokens5B",
        "owner/tiny@stage2-ingredient1-step50-tokens3B",
    ]
    assert training_step(hf("owner/tiny@stage1-step90-tokens1B")) == 90


def test_a_repository_of_gguf_files_says_so(hub: FakeHub, tmp_path: Path, branch: Branch) -> None:
    bare, beside = tmp_path / "bare", branch("beside")
    bare.mkdir()
    for folder in (bare, beside):
        (folder / "tiny-Q4.gguf").write_bytes(b"GGUF")
    (beside / "model.safetensors").unlink()
    hub.add("owner/bare", main=bare)
    hub.add("owner/beside", main=beside)
    for name in ("owner/bare", "owner/beside"):
        with pytest.raises(OlmesError, match=r"GGUF form \(tiny-Q4.gguf\).*llama-server"):
            _ = hf(name).fingerprint
    with pytest.raises(OlmesError, match="GGUF"):
        hf("owner/bare").check()


def test_the_commit_is_in_the_record(
    hub: FakeHub, branch: Branch, echo: Any, tmp_path: Path
) -> None:
    from olmes.api import evaluate

    hub.add("owner/tiny", step_60=branch("s"))
    record = evaluate(
        str(echo.task),
        model="owner/tiny@step_60",
        data=echo.data,
        out=tmp_path / "runs",
        settings={"echo.max_tokens": 2},
        limit=1,
    )
    model = record.run.model
    assert model.commit == hub.commit("owner/tiny", "step_60")
    assert (model.name, model.written) == ("owner/tiny@step_60", "owner/tiny@step_60")
    assert (model.family, model.step, model.adapter or None) == ("owner/tiny", 60, None)
