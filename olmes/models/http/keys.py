"""The key for a server: from the environment, sent to that server alone and written nowhere."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from olmes.errors import OlmesError
from olmes.models.http.endpoint import OFFICIAL, Endpoint

OURS = "OLMES_API_KEY"
OPENAI = "OPENAI_API_KEY"
VENDORS = {
    "openai.com": (OURS, OPENAI),
    "azure.com": ("AZURE_OPENAI_API_KEY",),
    "azure.us": ("AZURE_OPENAI_API_KEY",),
    "azure.cn": ("AZURE_OPENAI_API_KEY",),
    "openrouter.ai": ("OPENROUTER_API_KEY",),
    "anthropic.com": ("ANTHROPIC_API_KEY",),
    "mistral.ai": ("MISTRAL_API_KEY",),
    "deepseek.com": ("DEEPSEEK_API_KEY",),
    "googleapis.com": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "groq.com": ("GROQ_API_KEY",),
    "together.xyz": ("TOGETHER_API_KEY",),
    "fireworks.ai": ("FIREWORKS_API_KEY",),
    "x.ai": ("XAI_API_KEY",),
    "cerebras.ai": ("CEREBRAS_API_KEY",),
    "aliyuncs.com": ("DASHSCOPE_API_KEY",),
    "moonshot.ai": ("MOONSHOT_API_KEY",),
    "huggingface.co": ("HF_TOKEN",),
}
"""The variables in which the vendors' own clients look for a key, by host."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and where it was found."""

    secret: str = field(default="", repr=False)
    variable: str = ""


def own_variables(endpoint: Endpoint) -> tuple[str, ...]:
    """The variables that are for this server alone: `OLMES_KEY_HOST_PORT`, `OLMES_KEY_HOST`."""
    names = [
        re.sub(r"[^A-Z0-9]+", "_", one.upper()).strip("_")
        for one in (endpoint.host, endpoint.hostname)
    ]
    return tuple(dict.fromkeys(f"OLMES_KEY_{name}" for name in names))


def find_key(endpoint: Endpoint) -> Key:
    """The key for a server; empty when there is none.

    A variable of the server's own goes before that of its vendor, and this before the general ones. A
    vendor's key is not sent over a network where anyone can read it.

    Raises:
        OlmesError: the official endpoint is asked without one, or it cannot be sent.
    """
    vendor = next(
        (
            names
            for host, names in VENDORS.items()
            if endpoint.hostname == host or endpoint.hostname.endswith(f".{host}")
        ),
        (),
    )
    others = (OURS,) if endpoint.open_air else (*vendor, OURS, OPENAI)
    for name in (*own_variables(endpoint), *others):
        secret = os.environ.get(name, "").strip()
        if not secret:
            continue
        if not (secret.isascii() and secret.isprintable()):
            raise OlmesError(f"the key contains characters that no key has; set ${name} again.")
        return Key(secret, name)
    if endpoint.url == OFFICIAL:
        raise OlmesError(
            f"{OFFICIAL} needs a key; set $OLMES_API_KEY or $OPENAI_API_KEY, or name another "
            "server: openai:NAME@URL."
        )
    return Key()


def to_set(endpoint: Endpoint) -> str:
    """The variables to set for a server, as a remedy names them."""
    own = own_variables(endpoint)[-1]
    if endpoint.url == OFFICIAL:
        return f"${OURS}, ${OPENAI} or ${own}"
    withheld = endpoint.open_air and os.environ.get(OPENAI)
    why = f" (${OPENAI} is not sent over plain http)" if withheld else ""
    return f"${OURS} or ${own}{why}"
