"""What a run cost, in one line."""

from __future__ import annotations

from olmes.records.record import Record
from olmes.records.schema import Cost


def cost_line(record: Record) -> str:
    """Requests, tokens, times and memory of a run; empty for a record that does not say."""
    return cost_words(record.run.cost) if record.run.cost else ""


def cost_words(cost: Cost) -> str:
    """Requests, tokens, times and memory."""
    shared = f" ({cost.shared_tokens:,} more shared)" if cost.shared_tokens else ""
    speed = f", {cost.tokens_per_s:,.0f} tokens/s" if cost.tokens_per_s else ""
    thought = f" ({cost.reasoning_tokens:,} of them thought)" if cost.reasoning_tokens else ""
    parts = [
        f"{cost.requests:,} requests",
        f"{cost.prefill_tokens:,} tokens read{shared}, {cost.decode_tokens:,} written{thought}{speed}",
        f"model {cost.model_s:.1f} s, loading {cost.load_s:.1f} s, idle {cost.idle_s or 0:.1f} s",
        f"scoring {cost.scoring_cpu_s:.1f} cpu s",
    ]
    if cost.gpu_s:
        parts.append(f"{cost.gpu_s:.1f} GPU s")
    for size, words in (
        (cost.peak_rss_bytes, "peak memory"),
        (cost.peak_gpu_bytes, "on the GPU"),
    ):
        if size:
            parts.append(f"{words} {size / 1e9:.2f} GB")
    return "; ".join(parts)
