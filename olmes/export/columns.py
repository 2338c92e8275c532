"""The columns of data frames, with what each holds: the one schema of `olmes.load`, csv, parquet, json.

`python -m olmes.export.columns` in a checkout writes the tables of docs/analysis.md again; a test holds
them, and the frames, against this.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from olmes.records.schema import FLAGS
from olmes.tools.jsonl import write_atomically

PAGE = Path(__file__).parents[2] / "docs/analysis.md"

FLAG_WORDS = {
    "failed": "whose request failed",
    "empty": "that are blank",
    "refusal": "that refuse",
    "truncated": "cut at the token limit",
    "unfinished_thinking": "that ended inside their thought",
    "prompt_truncated": "whose prompt was cut",
    "unparsed": "without an answer that could be found",
    "misformatted": "not in the form asked for",
    "unjudged": "without a judgement",
    "thought_marks": "with marks of a thought in the answer",
    "timeout": "whose scorer hit a limit",
    "crashed": "whose scorer broke",
}

NUMBERS: Mapping[str, str] = {
    "run": "the run's id",
    "created": "when it began",
    "model": "name of the model",
    "fingerprint": "of its weights, tokenizer and chat template",
    "family": "the training that it is of",
    "step": "of that training",
    "lineage": "what it was trained from, oldest first: `base → sft, step 60`",
    "suite": "empty for single tasks",
    "task": "empty for the whole run: its mean, its counts, its cost",
    "title": "of the task in reports",
    "subtask": "empty for the whole task",
    "metric": "`mean` of the whole run; `M/pass@4`, `M/run_sd` of several responses an item",
    "primary": "whether it is the metric that the suite averages",
    "honest": "whether it is ours, without the known faults of the protocol's",
    "value": "a share from 0 to 1, or a number",
    "stderr": "standard error, clustered",
    "ci_low": "lower end of the 95 % interval",
    "ci_high": "upper end",
    "n": "values it is the mean of: responses, or their parts (IFEval's instructions)",
    "unit": "`share` or `number`",
    "higher_is_better": "the direction",
    "mean_of": "whole run: the tasks whose mean it is",
    "missing": "whole run: members of the suite without a number",
    "complete": "every request answered, every response scored, no member missing",
    "marks": "what the number is not: `incomplete`, `limited`, `demo data`, `!` (not standard) ...",
    "standard": "whether the formulation is the published one",
    "formulation_hash": "of everything that fixes prompt and score; whole run: over its tasks'",
    "data_hash": "of the whole set's items; whole run: over its tasks'",
    "data_origin": "where they came from: `official`, `folder`, `hub`, `demo`, `generated`",
    "demo_data": "whether they are the built-in demo data",
    "limit": "most items a task; missing for all",
    "items": "that were asked",
    "data_items": "of the whole set",
    "item_set": "which items were asked: empty for all; equal where two limited runs share them",
    "responses": "to these items",
    **{flag: f"responses {words}" for flag, words in FLAG_WORDS.items()},
    "wrong": "responses that the primary metric calls wrong",
    "lost": "of them, right by an honest metric: what the format cost",
    "held_out": "whether the task is held out",
    "looks_before": "earlier looks of the family at held-out tasks",
    "dev_then": "development score at the time of the look",
    "overlapped": "items that overlap with training data; missing where nobody compared them",
    "value_without_overlap": "the value over the other items, of the primary metric",
    "prompt_tokens": "that the model read",
    "completion_tokens": "that it wrote",
    "reasoning_tokens": "of these, thought",
    "judge_tokens": "read and written by the judge",
    "answer_s": "whole run, as all below: seconds from the first request to the last response",
    "judge_s": "seconds of judging",
    "score_s": "seconds of scoring",
    "wall_s": "seconds, all sessions",
    "model_s": "seconds in the model, loading left out",
    "load_s": "seconds of loading it",
    "idle_s": "seconds in neither",
    "scoring_cpu_s": "processor seconds of scoring",
    "gpu_s": "`model_s` times the GPUs in use",
    "tokens_per_s": "computed, while in the model",
    "requests": "sent to the model",
    "reused": "responses from the cache or of an equal request",
    "prefill_tokens": "prompt tokens that were computed",
    "shared_tokens": "prompt tokens computed once for several",
    "decode_tokens": "new tokens that were computed",
    "peak_rss_bytes": "largest resident memory",
    "peak_gpu_bytes": "most memory on the first GPU",
    "sessions": "how often the run was started",
}
"""A row of `olmes.load`: one number of a run, and what it rests on."""

COST = tuple(NUMBERS)[tuple(NUMBERS).index("wall_s") :]
"""Those that a record's `cost` has, under the same name."""
WHOLE: tuple[str, ...] = (
    "limit", "items", "data_items", "responses", *FLAGS, "wrong", "lost", "looks_before", "overlapped",
    "prompt_tokens", "completion_tokens", "reasoning_tokens", "judge_tokens", "requests", "reused",
    "prefill_tokens", "shared_tokens", "decode_tokens", "peak_rss_bytes", "peak_gpu_bytes", "sessions",
)  # fmt: skip
"""Whole numbers, which stay so where some rows have none."""
FLOATS: tuple[str, ...] = (
    "value", "stderr", "ci_low", "ci_high", "dev_then", "value_without_overlap", "answer_s", "judge_s",
    "score_s", "wall_s", "model_s", "load_s", "idle_s", "scoring_cpu_s", "gpu_s", "tokens_per_s",
    "p", "score", "other_score",
)  # fmt: skip
"""Other numbers."""

DIFFERENCES: Mapping[str, str] = {
    "page": "`comparison`, `leaderboard`, `checkpoints` or `generalization`",
    "of": "the board, the training, or the pair of tasks",
    "kind": "what the number is, below",
    "task": "empty for the mean",
    "run": "whose number it is",
    "model": "its model",
    "step": "of the training",
    "other_run": "the run that it is held against",
    "other_model": "its model",
    "other_step": "its step",
    "value": "the number: of a difference, `run` less `other_run`",
    "stderr": "standard error",
    "ci_low": "lower end of the 95 % interval; of the latest checkpoint corrected as `p` is",
    "ci_high": "upper end",
    "n": "items that it is over; for what is over the models, these",
    "unit": "`share` or `number`",
    "higher_is_better": "the direction of the metric",
    "p": "p-value, corrected as on the page",
    "verdict": "`better`, `worse`, `tied` or `not enough data`; empty where none is given",
    "score": "the number of `run` on these items",
    "other_score": "the number of `other_run` on them",
    "wins": "items on which `run` is better",
    "losses": "items on which `other_run` is",
    "paired": "whether item by item",
}
"""A row of `olmes.differences`: one number between runs."""

KINDS: Mapping[str, str] = {
    "difference": "two runs on the items of both",
    "rank": "place on a board; the interval holds the ranks that the comparisons leave open",
    "best checkpoint": "its score, corrected for the choice; `score` is as measured",
    "added by the choice": "what was corrected; `n` counts the checkpoints",
    "latest checkpoint": "the latest less the best earlier one",
    "dev": "a model's score on the development half of a pair",
    "unseen": "on the unseen half",
    "rewritten": "on the task with newly made items",
    "dev, corrected": "of the best checkpoint, for the choice; `n` counts the checkpoints",
    "change on dev": "model less base, more is better",
    "change on unseen": "the same on the unseen half",
    "dev change less unseen change": "what of the gain did not show on unseen",
    "the same in log-odds": "the line before in log-odds",
    "share of dev on unseen": "change on unseen as a share of that on dev",
    "dev less unseen": "the gap, which has no zero of its own",
    "unseen less rewritten": "what a model that knew the exam would be better by",
    "slope": "unseen points that come with a point of dev, over the models",
    "reliability": "share of the variance of the dev scores that is not noise",
    "rank order": "Kendall's tau of dev and unseen over the models",
}
"""The `kind` of a row of `olmes.differences`."""


def table(heads: tuple[str, str], rows: Mapping[str, str]) -> str:
    """A Markdown table of names and words."""
    lines = [f"| {heads[0]} | {heads[1]} |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {words} |" for name, words in rows.items())])


def filled(page: str) -> str:
    """The page with its tables made anew: what stands between `<!-- NAME -->` and `<!-- end -->`."""
    for name, text in (
        ("numbers", table(("column", "what"), NUMBERS)),
        ("differences", table(("column", "what"), DIFFERENCES)),
        ("kinds", table(("kind", "what"), KINDS)),
    ):
        before, mark, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("\n<!-- end -->")
        page = before + mark + text + end + after
    return page


if __name__ == "__main__":
    write_atomically(PAGE, filled(PAGE.read_text("utf-8")))
