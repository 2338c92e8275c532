"""The commit of a hub data set, from what the library says of it. No hub can be asked here."""

from __future__ import annotations

from pathlib import Path

from olmes.rows.hub_commit import commit_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_commit_is_in_the_addresses_or_in_the_cache(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetInfo

    address = f"hf://datasets/owner/name@{COMMIT}/data/train-00000-of-00001.parquet"
    info = DatasetInfo(download_checksums={address: {"num_bytes": 3, "checksum": None}})
    assert commit_of(Dataset.from_dict({"a": [1]}, info=info)) == COMMIT
    folder = tmp_path / "owner___name/default/0.0.0" / COMMIT
    Dataset.from_dict({"a": [1]}).save_to_disk(str(folder))
    [file] = folder.glob("*.arrow")
    assert commit_of(Dataset.from_file(str(file))) == COMMIT
    assert commit_of(Dataset.from_dict({"a": [1]})) == ""
