"""Chat templates looked at: what switches thinking, whether it is expected, what closes it."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.models.chat.form import ChatForm, form_of, has_system_turn
from olmes.models.chat.plain import next_question, plain_text
from olmes.models.chat.templates import bundled_templates, described, own_template, read_template
from olmes.models.options import Asking
from olmes.types import Message

USER = "{% for m in messages %}<U>{{ m.content }}{% endfor %}<A>"
"""A chat and the beginning of an answer."""
STRIPS = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content.split('</think>')[-1] }}"
    "{% else %}<U>{{ m.content }}{% endif %}{% endfor %}<A>"
)
VOCABULARY = {"added_tokens": [{"content": "<think>"}, {"content": "</think>"}], "model": {}}
MARKS = "{% if false %}<think></think>{% endif %}"
WITH_VARIABLE = {
    "true by default": (
        MARKS + USER + "{% if enable_thinking is defined and enable_thinking is false %}"
        "<think>\n\n</think>\n\n{% endif %}",
        {"enable_thinking": True}, {"enable_thinking": False}, True,
    ),
    "false by default, closed without an opening": (
        "{% if not thinking is defined %}{% set thinking = false %}{% endif %}" + MARKS + USER
        + "{% if thinking %}<think>{% else %}</think>{% endif %}",
        {"thinking": True}, {"thinking": False}, False,
    ),
    "said in the system turn": (
        "{% if thinking %}Here is my thought process: and Here is my response: .{% endif %}" + USER,
        {"thinking": True}, {"thinking": False}, False,
    ),
    "a variable that says no": (
        USER + "{% if skip_thinking %}<|START_THINKING|><|END_THINKING|>{% endif %}",
        {"skip_thinking": False}, {"skip_thinking": True}, True,
    ),
    "words": (
        "{% set effort = reasoning_effort | default('high') %}" + USER
        + "{% if reasoning_effort is defined and reasoning_effort == 'no_think' %}<think></think>"
        "{% elif reasoning_effort == 'high' %}<think>{% endif %}",
        {"reasoning_effort": "high"}, {"reasoning_effort": "no_think"}, True,
    ),
    "a budget": (
        USER + "{% if thinking_budget is defined and thinking_budget == 0 %}"
        "<seed:think></seed:think>{% endif %}",
        {}, {"thinking_budget": 0}, True,
    ),
}  # fmt: skip


def form(folder: Path, template: str = "", vocabulary: Any = None, **given: Any) -> ChatForm:
    """The form of a checkpoint's folder with a template and the given tokens."""
    folder.mkdir(exist_ok=True)
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    if vocabulary:
        (folder / "tokenizer.json").write_text(json.dumps(vocabulary), "utf-8")
    return form_of("m", folder, Asking(**given))


@pytest.mark.parametrize("kind", WITH_VARIABLE)
def test_a_templates_own_variable_is_the_switch(tmp_path: Path, kind: str) -> None:
    template, on, off, default = WITH_VARIABLE[kind]
    assert form(tmp_path, template).thinks is default
    found = form(tmp_path, template, thinking="on")
    assert (dict(found.variables), found.thinks, found.ending) == (on, True, "")
    found = form(tmp_path, template, thinking="off")
    assert (dict(found.variables), found.thinks, found.ending) == (off, False, "")
    assert found.notes == ()


@pytest.mark.parametrize("name", ["preserve_thinking", "reasoning_content", "keep_past_thoughts"])
def test_variables_for_earlier_thoughts_are_no_switch(tmp_path: Path, name: str) -> None:
    template = MARKS + f"{{% if {name} %}}kept{{% endif %}}" + USER
    found = form(tmp_path, template, thinking="off")
    assert name not in found.variables
    assert found.ending == "<think>\n\n</think>\n\n"


CLOSED = {
    "<think>\n": "\n</think>\n\n",
    "<think>": "\n\n</think>\n\n",
    "[THINK]": "[/THINK]",
    "<|channel|>analysis<|message|>": "<|end|><|start|>assistant<|channel|>final<|message|>",
    "<|START_THINKING|>": "<|END_THINKING|><|START_RESPONSE|>",
    "◁think▷": "◁/think▷",
}


@pytest.mark.parametrize("opening", CLOSED)
def test_a_thought_that_the_template_opens_is_closed_behind_it(
    tmp_path: Path, opening: str
) -> None:
    template = USER + "{{ " + json.dumps(opening, ensure_ascii=False) + " }}"
    found = form(tmp_path, template)
    assert (found.thinks, found.opened, found.ending) == (True, True, "")
    found = form(tmp_path, template, thinking="off")
    assert (found.thinks, found.opened, found.ending) == (False, False, CLOSED[opening])
    assert "an empty one is written" in found.notes[0]
    assert "\n" not in found.notes[0]


def test_marks_of_the_vocabulary_alone_are_read_and_not_expected(tmp_path: Path) -> None:
    found = form(tmp_path, USER, VOCABULARY)
    assert [one.name for one in found.marks] == ["think"]
    assert (found.thinks, found.opened) == (False, False)
    assert form(tmp_path, USER, VOCABULARY, thinking="on").thinks
    off = form(tmp_path, USER, VOCABULARY, thinking="off")
    assert (off.ending, off.thinks) == ("", False)
    assert "changes nothing" in off.notes[0]


def test_a_template_that_takes_old_thoughts_out_thinks(tmp_path: Path) -> None:
    assert form(tmp_path, STRIPS, VOCABULARY).thinks


def test_an_ordinary_checkpoint_is_asked_as_before(tmp_path: Path) -> None:
    assert form(tmp_path, USER) == ChatForm()
    assert form(tmp_path, "") == ChatForm()


def test_what_cannot_be_done_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        OlmesError, match="--thinking on: neither .* leave it out, or name the marks"
    ):
        form(tmp_path, USER, thinking="on")
    off = form(tmp_path, USER, thinking="off")
    assert "--thinking off changes nothing" in off.notes[0]
    closed = USER + "<think></think>"
    with pytest.raises(OlmesError, match="closes the thought and has no variable"):
        form(tmp_path, closed, thinking="on")
    with pytest.raises(OlmesError, match="'m' has no such variable; those it has: colour"):
        form(tmp_path, USER + "{{ colour }}", template_args={"color": 1})
    with pytest.raises(OlmesError, match="no such variable"):
        form(tmp_path, USER, template_args={"messages": []})
    template = WITH_VARIABLE["true by default"][0]
    with pytest.raises(OlmesError, match="sets the chat template's enable_thinking to True, and"):
        form(tmp_path, template, thinking="on", template_args={"enable_thinking": False})


def test_a_variable_of_the_users_switches_too(tmp_path: Path) -> None:
    template = WITH_VARIABLE["true by default"][0]
    found = form(tmp_path, template, template_args={"enable_thinking": False})
    assert (found.thinks, dict(found.variables)) == (False, {"enable_thinking": False})


def test_the_users_marks_are_expected_unless_thinking_is_off(tmp_path: Path) -> None:
    assert form(tmp_path, USER, reasoning_tags="<a>,</a>").thinks
    found = form(tmp_path, USER, reasoning_tags="<a>,</a>", thinking="off")
    assert (found.thinks, found.ending) == (False, "<a>\n\n</a>\n\n")
    assert form(tmp_path, MARKS + USER, reasoning_tags="none").marks == ()


@pytest.mark.skipif(find_spec("trl") is None, reason="needs TRL's collection of templates")
@pytest.mark.parametrize(
    ("name", "thinks", "opened", "off"),
    [
        ("qwen3", True, False, ""),
        ("qwen3_5_nothink", False, False, ""),
        ("qwen3_5_think", True, True, ""),
        ("glm4moe", True, False, ""),
        ("gemma4", False, False, ""),
        ("nemotron_3_nano", True, True, ""),
        ("deepseek_r1_distill", True, True, "\n</think>\n\n"),
        ("lfm2_2_5", True, False, "<think>\n\n</think>\n\n"),
        ("qwen3_instruct_2507", False, False, ""),
        ("llama3_1", False, False, ""),
    ],
)
def test_published_templates(
    tmp_path: Path, name: str, thinks: bool, opened: bool, off: str
) -> None:
    spec = find_spec("trl")
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).parent / "chat_templates" / f"{name}.jinja"
    if not file.is_file():
        pytest.skip(f"this release of TRL has no {name}")
    template = file.read_text("utf-8")
    found = form(tmp_path, template)
    assert (found.thinks, found.opened) == (thinks, opened)
    assert form(tmp_path, template, thinking="off").ending == off
    assert has_system_turn(tmp_path, Asking())


def test_a_template_without_a_system_turn_is_found_out(tmp_path: Path) -> None:
    refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + USER
    drops = "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}"
    for template, has in ((refuses, False), (drops, False), (USER, True)):
        form(tmp_path, template)
        assert has_system_turn(tmp_path, Asking()) is has
    assert has_system_turn(tmp_path, Asking(chat_template="plain"))


def test_the_own_template_is_found_in_every_place(tmp_path: Path) -> None:
    assert own_template(tmp_path) is None
    processor = tmp_path / "chat_template.json"
    processor.write_text(json.dumps({"chat_template": "p"}), "utf-8")
    assert own_template(tmp_path) == "p"
    config = tmp_path / "tokenizer_config.json"
    named = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    config.write_text(json.dumps({"chat_template": named}), "utf-8")
    assert own_template(tmp_path) == "d"
    (tmp_path / "chat_template.jinja").write_text("j", "utf-8")
    assert own_template(tmp_path) == "j"


def test_templates_by_name_and_file(tmp_path: Path) -> None:
    assert {"tulu", "smollm2"} <= set(bundled_templates())
    own = tmp_path / "mine.jinja"
    own.write_text(read_template("tulu") + "\n", "utf-8")
    assert read_template(str(own)) == read_template("tulu")
    assert described(str(own)) == described("tulu").replace("tulu", "mine")
    assert described("plain") == "plain"
    with pytest.raises(OlmesError, match="no chat template nope; give a .jinja file, plain"):
        read_template("nope")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OlmesError, match="cannot be read"):
        read_template(str(tmp_path / "bytes"))


def chat(*turns: str) -> tuple[Message, ...]:
    return tuple(
        {"role": "assistant" if at % 2 else "user", "content": text}
        for at, text in enumerate(turns)
    )


def test_plain_text_is_the_few_shot_text() -> None:
    shots = chat("Question: 1+1?", "Answer: 2", "Question: 2+2?")
    assert plain_text(shots, "Answer:") == ("Question: 1+1?\nAnswer: 2\n\nQuestion: 2+2?\nAnswer:")
    cued = chat("Problem:\nx\n\nSolution:", "7", "Problem:\ny\n\nSolution:")
    assert plain_text(cued, "") == "Problem:\nx\n\nSolution: 7\n\nProblem:\ny\n\nSolution:"
    assert plain_text(chat("Write a poem."), "") == "Write a poem."
    assert plain_text(chat("Q: a\nA:"), "A:") == "Q: a\nA:"
    system: Message = {"role": "system", "content": "Be brief."}
    assert plain_text((system, *chat("Why?", "So.", "And?")), "") == (
        "Be brief.\n\nWhy?\nSo.\n\nAnd?\n"
    )


def test_another_question_ends_a_plain_answer() -> None:
    assert next_question(chat("Question: a", "b", "Question: c")) == "\n\nQuestion:"
    assert next_question(chat("Do this. Problem: a", "b", "Problem: c")) == "\n\nProblem:"
    assert (
        next_question(chat("Problem:\na", "b", "Problem:\nc", "d", "Problem:\ne")) == "\n\nProblem:"
    )
    assert next_question(chat("Question: a")) == ""
    assert next_question(chat("How: a", "b", "Why: c", "d", "Who: e")) == ""
    assert next_question(chat("What", "b", "Who")) == ""
