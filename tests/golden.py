"""What the reference's recorded prompts are held against."""

from __future__ import annotations

import hashlib
import json

from olmes import Request


def prompt_hash(request: Request) -> str:
    """What the recorded prompts go by: 16 hex digits of SHA-256 over all that the model is given."""
    content = {
        "messages": list(request.messages),
        "assistant_prefix": request.prefill,
        "continuations": list(request.continuations) or None,
        "prompt": request.prompt,
    }
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
