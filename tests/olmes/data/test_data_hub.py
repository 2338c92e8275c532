"""The hub's own library, reading folders laid out as repositories on the hub are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from olmes import HubSplit, Source
from olmes.data import hub, network
from olmes.data.network import NotFetched
from olmes.data.resolve import resolve
from olmes.errors import OlmesError
from olmes.tools.hashing import content_hash
from tests.timing import least_seconds

datasets = pytest.importorskip("datasets")

CARD = """---
configs:
- config_name: main
  data_files:
  - split: test
    path: main/test-*.parquet
- config_name: other
  data_files:
  - split: test
    path: other/test-*.parquet
---
# Capitals
"""
ROWS = [{"country": "Österreich", "capital": "Wien"}, {"country": "Chile", "capital": "Santiago"}]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`atlas/capitals` with two configs of parquet files, in a mirror folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    folder = tmp_path / "mirror/atlas/capitals"
    for config in ("main", "other"):
        (folder / config).mkdir(parents=True)
        put(folder, config, ROWS if config == "main" else ROWS[:1])
    (folder / "README.md").write_text(CARD, "utf-8")
    monkeypatch.setenv("OLMES_HUB_MIRROR", str(tmp_path / "mirror"))
    return folder


def put(folder: Path, config: str, rows: list[dict[str, Any]]) -> None:
    path = folder / config / "test-00000-of-00001.parquet"
    datasets.Dataset.from_list(rows).to_parquet(path)


def split(**changes: Any) -> HubSplit:
    given = {"repository": "atlas/capitals", "config": "main", "split": "test", **changes}
    return HubSplit(**given)


def test_equal_rows_are_the_official_set(repository: Path, official: Any, said: list[str]) -> None:
    put(repository, "main", [{"n": i, **row} for i, row in enumerate(ROWS)])  # an index column
    dataset = resolve(official.task(hub=(split(),), files=()), say=said.append)
    assert (dataset.origin, dataset.location) == ("hub", "atlas/capitals")
    assert dataset.official
    assert dataset.notes == ()
    assert [instance.doc for instance in dataset.instances] == ROWS
    assert said[-1] == "capitals: reading atlas/capitals of the Hugging Face hub"


def test_a_difference_is_said(repository: Path, official: Any, said: list[str]) -> None:
    changed = [{**ROWS[0], "capital": "Graz"}, ROWS[1], ROWS[1]]
    put(repository, "main", changed)
    task = official.task(hub=(split(),), files=(official_without_original(official),))
    dataset = resolve(task, say=said.append)
    assert dataset.origin == "hub"
    assert not dataset.official
    assert len(dataset.instances) == 3
    (note,) = dataset.notes
    assert "differs from the official set" in note
    assert "3 rows where the official set has 2" in note
    assert dataset.content_hash[:16] in note
    assert task.source.content_hash[:16] in note
    assert said[-1] == f"capitals: {note}"


def official_without_original(official: Any) -> Any:
    return replace(official.file, github="")


def test_rows_are_turned_into_the_official_files_rows(
    repository: Path, official: Any, said: list[str]
) -> None:
    put(repository, "main", [{"q": row["country"], "a": [row["capital"]]} for row in ROWS])

    def from_hub(row: dict[str, Any]) -> dict[str, Any]:
        return {"country": row["q"], "capital": row["a"][0]}

    task = official.task(hub=(split(),), files=(), from_hub=from_hub)
    assert resolve(task, say=said.append).official


@pytest.mark.parametrize("capital", ["Wien", "Graz"])
def test_exemplars_come_from_a_split_of_their_own(
    repository: Path, official: Any, said: list[str], capital: str
) -> None:
    put(repository, "other", [{**ROWS[0], "capital": capital}])
    shots = Source(
        files=(),
        fields=("capital",),
        content_hash=content_hash([{"capital": "Wien"}]),
        hub=(split(config="other"),),
    )
    task = official.task(hub=(split(),), files=(), exemplars=shots)
    dataset = resolve(task, say=said.append)
    assert task.exemplar_rows == [{"capital": capital}]
    assert [one.doc for one in dataset.instances] == ROWS
    official_ones = capital == "Wien"
    assert dataset.official is official_ones
    assert (dataset.content_hash == task.source.content_hash) is official_ones
    said_of = [note for note in dataset.notes if "exemplars differ from the official ones" in note]
    assert len(said_of) == (not official_ones)


def test_one_split_a_subtask(
    repository: Path, official: Any, said: list[str], make_task: Any
) -> None:
    source = Source(
        files=(),
        fields=("country", "capital"),
        content_hash="",
        hub=(split(subtask="all"), split(config="other", subtask="one")),
    )
    source = official.with_hash(source, [("all", ROWS), ("one", ROWS[:1])])
    dataset = resolve(make_task(source), say=said.append)
    ids = [instance.id for instance in dataset.instances]
    assert ids == ["capitals/all/0", "capitals/all/1", "capitals/one/0"]
    assert dataset.official


def test_splits_of_what_is_one_file_are_the_official_set_all_the_same(
    repository: Path, official: Any, said: list[str]
) -> None:
    put(repository, "main", ROWS[:1])
    put(repository, "other", ROWS[1:])
    file = replace(official.file, github="")
    both = (split(subtask="a"), split(config="other", subtask="b"))
    dataset = resolve(official.task(files=(file,), hub=both), say=said.append)
    assert dataset.official
    assert [instance.id for instance in dataset.instances] == ["capitals/0", "capitals/1"]


def test_one_split_of_what_is_several_files_names_the_subtask_in_its_rows(
    repository: Path, official: Any, said: list[str], make_task: Any
) -> None:
    files = tuple(replace(official.file, github="", subtask=name) for name in ("old", "new"))
    source = Source(
        files=files,
        fields=("country", "capital"),
        content_hash="",
        hub=(split(),),
        from_hub=lambda row: {**row, "subtask": "old" if row["capital"] == "Wien" else "new"},
    )
    source = official.with_hash(source, [("old", ROWS[:1]), ("new", ROWS[1:])])
    dataset = resolve(make_task(source), say=said.append)
    assert dataset.official
    assert [instance.id for instance in dataset.instances] == ["capitals/old/0", "capitals/new/0"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repository": "atlas/rivers"}, "holds no atlas/rivers"),
        ({"config": "absent"}, r"could not be loaded .*absent"),
        ({"split": "train"}, r"could not be loaded .*train"),
    ],
)
def test_what_the_hub_does_not_have_is_said(
    repository: Path, changes: dict[str, str], message: str
) -> None:
    source = Source(files=(), fields=(), content_hash="", hub=(split(**changes),))
    with pytest.raises(NotFetched, match=message):
        hub.load(source)


def test_a_damaged_file_is_said(repository: Path) -> None:
    (repository / "main/test-00000-of-00001.parquet").write_bytes(b"PAR1 and no more")
    source = Source(files=(), fields=(), content_hash="", hub=(split(),))
    with pytest.raises(NotFetched, match="could not be loaded"):
        hub.load(source)


def test_a_row_that_cannot_be_turned_names_itself(repository: Path) -> None:
    source = Source(
        files=(),
        fields=(),
        content_hash="",
        hub=(split(),),
        from_hub=lambda row: {"x": row["missing"]},
    )
    with pytest.raises(NotFetched, match=r"row 0 of atlas/capitals .*KeyError: 'missing'"):
        hub.load(source)


def test_a_mirror_that_is_no_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_HUB_MIRROR", str(tmp_path / "absent"))
    with pytest.raises(OlmesError, match=r"OLMES_HUB_MIRROR names .*absent, which is not a folder"):
        hub.mirror()


class TestReaching:
    """The hub itself cannot be had here; that it cannot be reached can."""

    source = Source(files=(), fields=(), content_hash="", hub=(split(),))

    def test_a_task_without_a_copy(self) -> None:
        with pytest.raises(NotFetched, match="names no copy"):
            hub.require(Source(files=(), fields=(), content_hash=""))

    def test_an_unreachable_hub_is_given_up_within_seconds(
        self, closed_port: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setenv("HF_ENDPOINT", closed_port)

        def given_up() -> None:
            network._answers.clear()
            with pytest.raises(NotFetched, match="cannot be reached"):
                hub.require(self.source)

        assert least_seconds(given_up, 3) < 3

    def test_the_hubs_offline_switch_leaves_its_cache_alone_to_be_read(self, web: Any) -> None:
        hub.require(self.source)
        with pytest.raises(NotFetched, match=r"could not be loaded .*OfflineModeIsEnabled"):
            hub.load(self.source)
        assert web.asked == []

    def test_our_offline_switch_forbids_even_that(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OLMES_OFFLINE", "1")
        with pytest.raises(NotFetched, match="OLMES_OFFLINE"):
            hub.require(self.source)

    def test_a_mirror_is_no_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OLMES_OFFLINE", "1")
        with pytest.raises(NotFetched, match="OLMES_OFFLINE"):
            hub.require(self.source)
        monkeypatch.setenv("OLMES_HUB_MIRROR", str(tmp_path))
        hub.require(self.source)  # the folder alone makes the difference
