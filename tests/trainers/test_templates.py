"""Templates and their training templates: the same text, and marks on the answer and its end alone."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmes.errors import OlmesError
from olmes.models.chat.templates import FOLDER, bundled_templates
from olmes.trainers.templates.encoding import finder_of, label_chats
from olmes.trainers.templates.labels import IGNORED
from olmes.trainers.templates.pairs import (
    ChatTemplate,
    find_template,
    read_pair,
    render,
)
from tests.trainers.taught import trained_texts

U, A, S = "user", "assistant", "system"


def chat(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


def test_tulus_template_is_the_published_one(char_tokenizer: Any) -> None:
    """Written out from the format of Tülu 3's models."""
    plain = read_pair(FOLDER / "tulu.jinja").plain
    turns = chat((S, "s"), (U, "a"), (A, "b"), (U, "c"), (A, "d"))
    expected = (
        "<|system|>\ns\n<|user|>\na\n<|assistant|>\nb<|end|>\n<|user|>\nc\n<|assistant|>\nd<|end|>"
    )
    assert render(char_tokenizer, turns, plain) == expected
    assert render(char_tokenizer, turns[:2], plain, prompt=True) == (
        "<|system|>\ns\n<|user|>\na\n<|assistant|>\n"
    )


roles = st.sampled_from([U, A])
contents = st.text(alphabet=string.printable, max_size=20)
chats = st.builds(
    lambda system, turns: chat(*([(S, system)] if system is not None else []), *turns),
    st.none() | contents,
    st.lists(st.tuples(roles, contents), min_size=1, max_size=6),
)


@pytest.mark.parametrize("name", bundled_templates())
@given(turns=chats, prompt=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_training_template_renders_the_same(
    char_tokenizer: Any, name: str, turns: list[dict[str, str]], prompt: bool
) -> None:
    pair = read_pair(FOLDER / f"{name}.jinja")
    assert render(char_tokenizer, turns, pair.plain, prompt) == render(
        char_tokenizer, turns, pair.training, prompt
    )


@given(turns=chats)
@settings(max_examples=50, deadline=None)
def test_labels_decode_to_what_the_assistant_says_and_the_end(
    char_tokenizer: Any, turns: list[dict[str, str]]
) -> None:
    """Neighbouring assistant turns are apart in the template, so each is a run of its own."""
    pair = read_pair(FOLDER / "tulu.jinja")
    [(ids, labels, note)] = label_chats(char_tokenizer, [turns], pair)
    said = [turn["content"] + "<|end|>" for turn in turns if turn["role"] == A]
    assert trained_texts(char_tokenizer, labels) == said
    assert all(label in (IGNORED, id_) for id_, label in zip(ids, labels, strict=True))
    assert note == ""
    assert char_tokenizer.decode(ids) == render(char_tokenizer, turns, pair.plain)


@given(turns=chats)
@settings(max_examples=50, deadline=None)
def test_the_answers_are_found_without_marks_too(
    char_tokenizer: Any, turns: list[dict[str, str]]
) -> None:
    """Also where a chat begins with an answer, says nothing, or says marks itself."""
    pair = read_pair(FOLDER / "tulu.jinja")
    marked = label_chats(char_tokenizer, [turns], pair)
    assert label_chats(char_tokenizer, [turns], ChatTemplate(pair.plain, "")) == marked


@pytest.mark.parametrize(
    "marks",
    [
        ("{% generation %}{{ m.content }}", "{% endgeneration %}{{ eos_token }}"),
        ("", "{{ m.content }}{% generation %}{{ eos_token }}{% endgeneration %}"),
        ("{{ m.content }}", "{{ eos_token }}"),
    ],
    ids=["without the end", "without the answer", "nothing"],
)
def test_marks_that_teach_something_else_are_refused(
    char_tokenizer: Any, marks: tuple[str, str]
) -> None:
    template = (
        "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}"
        f"{marks[0]}{marks[1]}"
        "{% else %}{{ m.content }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    with pytest.raises(OlmesError, match="would train on"):
        finder_of(char_tokenizer, ChatTemplate(template, template))


def test_marks_on_what_the_user_says_are_refused(char_tokenizer: Any) -> None:
    template = (
        "{% for m in messages %}<|{{ m.role }}|>{% generation %}{{ m.content }}{{ eos_token }}"
        "{% endgeneration %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    with pytest.raises(OlmesError, match="would train on"):
        finder_of(char_tokenizer, ChatTemplate(template, template))


def test_marks_may_hold_a_header_and_a_line_end(char_tokenizer: Any) -> None:
    template = (
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}<|assistant|>"
        "{{ m.content | trim }}{{ eos_token }}\n{% endgeneration %}{% else %}<|{{ m.role }}|>"
        "{{ m.content }}\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    turns = chat((U, "a"), (A, " b\n"), (U, "c"), (A, "d"))
    [(_, labels, _)] = label_chats(char_tokenizer, [turns], ChatTemplate(template, template))
    taught = trained_texts(char_tokenizer, labels)
    assert taught == ["<|assistant|>b<|end|>\n", "<|assistant|>d<|end|>\n"]


def test_the_models_own_template_gets_the_training_one_that_renders_the_same(
    char_tokenizer: Any,
) -> None:
    pair = find_template("model", char_tokenizer)
    assert pair.plain == char_tokenizer.chat_template
    assert pair.training == read_pair(FOLDER / "tulu.jinja").training


def test_a_template_without_a_training_template_has_none(char_tokenizer: Any) -> None:
    import copy

    other = copy.copy(char_tokenizer)
    other.chat_template = "{% for m in messages %}[{{ m['content'] }}]{% endfor %}"
    assert find_template("model", other) == ChatTemplate(other.chat_template, "")
    other.chat_template = None
    with pytest.raises(OlmesError, match="no chat template of its own"):
        find_template("model", other)


def test_templates_from_files(tmp_path: Any, char_tokenizer: Any) -> None:
    plain = tmp_path / "mine.jinja"
    with pytest.raises(OlmesError, match="there is no template"):
        find_template(str(plain), char_tokenizer)
    plain.write_text("{% for m in messages %}[{{ m['content'] }}]{% endfor %}")
    assert find_template(str(plain), char_tokenizer).training == ""
    training = tmp_path / "mine.training.jinja"
    training.write_text("{% for m in messages %}({{ m['content'] }}){% endfor %}")
    with pytest.raises(OlmesError, match="render different texts"):
        find_template(str(plain), char_tokenizer)


@pytest.mark.model
def test_the_embedded_models_template_is_the_bundled_one() -> None:
    from transformers import AutoTokenizer

    from olmes.models.checkpoint.smollm2 import embedded_folder

    tokenizer = AutoTokenizer.from_pretrained(embedded_folder())
    pair = find_template("model", tokenizer)
    assert pair.plain == tokenizer.chat_template
    turns = chat((U, "One?"), (A, "Two, three.\n"), (U, "Four?"), (A, "Five"))
    [(_, labels, _)] = label_chats(tokenizer, [turns], pair)
    assert trained_texts(tokenizer, labels) == ["Two, three.\n<|im_end|>", "Five<|im_end|>"]
