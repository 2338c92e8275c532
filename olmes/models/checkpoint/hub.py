"""The Hugging Face hub: what is fetched of a repository, and the sentence for each way it fails.

What is fetched lies in the hub's own cache, one folder a commit.
"""

from __future__ import annotations

import errno
import fnmatch
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.models.checkpoint.fingerprint import ADAPTERS, WEIGHTS, read_json
from olmes.models.checkpoint.loading import first_line

SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken", "tokenizer.model.*")
"""The files of a hub repository with configuration and tokenizer."""
CODE = "*.py"
MOST_NAMED = 8
"""Branches that a sentence names."""


def fetch_settings(repository: str, revision: str, *, code: bool = False) -> Path:
    """The folder with a repository's small files; their commit is its name.

    Args:
        repository: `OWNER/NAME`.
        revision: a branch, tag or commit; '' is the repository's main branch.
        code: whether the model's own code is fetched too.

    Raises:
        OlmesError: the hub does not give them, and they are not in its cache.
    """
    patterns = (*SETTINGS, CODE) if code else SETTINGS
    folder = snapshot(repository, revision or None, patterns)
    if not any((folder / name).is_file() for name in ("config.json", ADAPTERS[0])):
        refuse_gguf(repository, files_of(repository, folder.name) or ())
        raise OlmesError(
            f"the repository '{repository}' has no config.json; name one that save_pretrained has "
            "written (a model for other programs may have a sister for transformers)."
        )
    return folder


def fetch_weights(repository: str, folder: Path) -> Path:
    """The folder once it has its weights too: those that transformers would load, and no others.

    A repository may hold the same weights several times, for other programs and in other precisions.

    Raises:
        OlmesError: as `fetch_settings`, or the repository has no weights that are read here.
    """
    # The folder is named after the commit: weights are of the same commit as the tokenizer.
    commit = folder.name
    names = ADAPTERS[1:] if (folder / ADAPTERS[0]).is_file() else WEIGHTS
    listed = files_of(repository, commit)
    there = {path.name for path in folder.iterdir()} if listed is None else set(listed)
    chosen = next((name for name in names if name in there), None)
    if chosen is None:
        if listed is None:
            raise OlmesError(partly_cached(repository))
        refuse_gguf(repository, listed)
        raise OlmesError(
            f"the repository '{repository}' has no weights ({' or '.join(names)}); name the "
            "repository that has them."
        )
    wanted = [chosen]
    if chosen.endswith(".index.json"):
        wanted = sorted(set(read_json(folder / chosen)["weight_map"].values()))
    snapshot(repository, commit, wanted)
    lacking = next((name for name in wanted if not (folder / name).is_file()), None)
    if lacking is not None:
        if listed is None:
            raise OlmesError(partly_cached(repository))
        raise OlmesError(
            f"the repository '{repository}' has no {lacking}, although {chosen} lists it; its upload "
            "is not whole."
        )
    return folder


def partly_cached(repository: str) -> str:
    """The sentence where the hub is away, and its cache has the small files alone."""
    return (
        f"the hub's cache has only part of '{repository}', and the hub cannot be reached; run again "
        "where there is a network (without HF_HUB_OFFLINE), or give the folder of a local checkpoint."
    )


def refuse_gguf(repository: str, names: Iterable[str]) -> None:
    """Return when none of a repository's files is llama.cpp's.

    Raises:
        OlmesError: one is.
    """
    if gguf := next((name for name in names if name.endswith(".gguf")), None):
        raise OlmesError(gguf_refusal(f"'{repository}' holds a model of", gguf))


def gguf_refusal(what: str, file: str) -> str:
    """The sentence for a model in the form of llama.cpp."""
    return (
        f"{what} the GGUF form ({file}), which is not read here: serve it with llama.cpp "
        f"(llama-server -m {file}) and give --model openai:NAME@http://127.0.0.1:8080/v1, or name "
        "the checkpoint that it was made from."
    )


def files_of(repository: str, revision: str) -> list[str] | None:
    """The names of a repository's files; None where the hub does not say."""
    import huggingface_hub

    try:
        return list(huggingface_hub.HfApi().list_repo_files(repository, revision=revision))
    except Exception as error:
        if not expected(error):
            raise
        return None


def branches(repository: str, pattern: str) -> list[str]:
    """The branches and tags of a repository that fit a pattern; without the hub, those in its cache.

    Raises:
        OlmesError: the hub does not say which there are, or none fits.
    """
    names = refs_of(repository)
    found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
    if not found:
        raise OlmesError(
            f"no branch or tag of '{repository}' fits '{pattern}'; it has {listed(names)}."
        )
    return found


def refs_of(repository: str) -> list[str]:
    """The branches and tags of a repository.

    Raises:
        OlmesError: the hub does not give them, and its cache has none of them.
    """
    import huggingface_hub

    try:
        refs = huggingface_hub.HfApi().list_repo_refs(repository)
    except Exception as error:
        if not expected(error):
            raise
        if cached := cached_refs(repository):
            return cached
        raise OlmesError(hub_refusal(repository, "", error)) from None
    return list(dict.fromkeys(one.name for one in (*refs.branches, *refs.tags)))


def cached_refs(repository: str) -> list[str]:
    """The branches and tags of which the hub's cache has a commit."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}" / "refs"
    return sorted(
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
    )


def listed(names: Sequence[str]) -> str:
    """Some names, the last of many."""
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return ", ".join(names) or "none"


def snapshot(repository: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Fetch what is missing of some files; those in folders are copies for other libraries.

    Raises:
        OlmesError: the hub does not give them, and they are not in its cache.
    """
    import huggingface_hub

    try:
        return Path(
            huggingface_hub.snapshot_download(
                repository,
                revision=revision,
                allow_patterns=list(patterns),
                ignore_patterns=["*/*"],
            )
        )
    except Exception as error:
        if not expected(error):
            raise
        raise OlmesError(hub_refusal(repository, revision or "", error)) from None


def expected(error: Exception) -> bool:
    """Whether an error is the hub's, its HTTP client's or the system's, and no fault of ours."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    return isinstance(error, (*HfHubHTTPError.__bases__, HFValidationError, ValueError))


def hub_refusal(repository: str, revision: str, error: Exception) -> str:
    """Why the hub does not give a repository, and what to do about it."""
    from huggingface_hub import constants, errors, get_token

    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        if not isinstance(cause, Exception) or len(causes) > MOST_NAMED:
            break
        causes.append(cause)
    page = f"{constants.ENDPOINT}/{repository}"
    there = f"there is no folder '{repository}', and the hub"
    status = status_of(causes)

    def caused(kind: Any) -> bool:
        return any(isinstance(one, kind) for one in causes)

    if (full := disk_refusal(causes)) is not None:
        return full
    if caused(errors.GatedRepoError):
        have = (
            "the account of your token has none yet"
            if get_token()
            else "then set HF_TOKEN to a token of that account (or run `hf auth login`)"
        )
        return f"the model '{repository}' is gated: request access at {page}, and {have}."
    if caused(errors.RevisionNotFoundError):
        return (
            f"the repository '{repository}' has no branch, tag or commit '{revision or 'main'}'; "
            f"it has {known_refs(repository)}."
        )
    if caused(errors.DisabledRepoError):
        return f"the hub has disabled '{repository}' ({page}); choose another model."
    if caused(errors.RepositoryNotFoundError) or status in (401, 404):
        private = (
            "if it is private, HF_TOKEN must be a token that may read it"
            if get_token()
            else "for a private one set HF_TOKEN (or run `hf auth login`)"
        )
        return (
            f"{there} has no public model of that name; check the name, or give the folder of a "
            f"local checkpoint; {private}."
        )
    at = f"{repository}@{revision}" if revision else repository
    if caused(errors.OfflineModeIsEnabled) or constants.HF_HUB_OFFLINE:
        return (
            f"{there} is not asked, for HF_HUB_OFFLINE is set; its cache does not have all of "
            f"'{at}': unset HF_HUB_OFFLINE where there is a network, or give the folder of a local "
            "checkpoint."
        )
    if status is not None:
        return (
            f"{there} answers with an error (HTTP {status}); its cache does not have '{at}': try "
            "again later, or give the folder of a local checkpoint."
        )
    if isinstance(error, errors.HFValidationError):
        return f"'{repository}' is no name of a model on the hub ({first_line(error)}); check it."
    return (
        f"{there} at {constants.ENDPOINT} cannot be reached ({reason_of(causes)}); its cache does not "
        f"have '{at}': check the network, HF_ENDPOINT and proxies, or give the folder of a local "
        "checkpoint."
    )


def status_of(causes: Sequence[Exception]) -> int | None:
    """The HTTP status among an error and its causes."""
    for one in causes:
        status = getattr(getattr(one, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return None


def reason_of(causes: Sequence[Exception]) -> str:
    """What the network said, among an error and its causes: the first that is not the hub's advice."""
    from huggingface_hub.errors import EntryNotFoundError

    words = [one for one in causes if not isinstance(one, EntryNotFoundError)]
    return first_line((words or list(causes))[0])


def disk_refusal(causes: Sequence[Exception]) -> str | None:
    """The sentence where the hub's cache cannot be written; None where that is not the trouble."""
    from huggingface_hub import constants

    full = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM)
    for one in causes:
        if isinstance(one, OSError) and one.errno in full and one.filename is not None:
            return (
                f"the hub's cache {constants.HF_HUB_CACHE} cannot be written "
                f"({os.strerror(one.errno)}); make room there, or set HF_HOME to another folder."
            )
        if isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT):
            return (
                f"the hub's cache {constants.HF_HUB_CACHE} is full; make room there, or set HF_HOME "
                "to another folder."
            )
    return None


def known_refs(repository: str) -> str:
    """A repository's branches, for the end of a sentence."""
    try:
        return listed(refs_of(repository))
    except OlmesError:
        return "others, which the hub does not list"
