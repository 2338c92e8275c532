"""Shared prefixes of token sequences."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from olmes.models.hf.prefix import (
    MIN_MEMBERS,
    MIN_SAVED,
    MIN_TOKENS,
    TokenTree,
    common_length,
    prefix_groups,
    running_order,
)
from tests.known import known


def line(*tokens: int) -> array[int]:
    return array("i", tokens)


def test_a_long_prefix_that_many_share_is_a_group() -> None:
    shots = list(range(MIN_TOKENS))
    prompts = [line(*shots, 1000 + at) for at in range(MIN_MEMBERS)]
    others = [line(*range(500, 500 + 2 * MIN_TOKENS)), line(7)]
    groups = prefix_groups([*prompts, *others])
    assert {known(group).tokens.tolist() == shots for group in groups[:-2]} == {True}
    assert len(set(groups[:-2])) == 1
    assert groups[-2:] == [None, None]
    assert known(groups[0]).waiting == MIN_MEMBERS


def test_short_prefixes_and_few_members_are_left_to_the_tree() -> None:
    shots = list(range(MIN_TOKENS))
    assert set(prefix_groups([line(*shots[:-1], 1000 + at) for at in range(9)])) == {None}
    assert set(prefix_groups([line(*shots, 1000 + at) for at in range(MIN_MEMBERS - 1)])) == {None}
    assert prefix_groups([]) == []


def test_a_prefix_that_would_fill_a_batch_is_a_group_of_two() -> None:
    long = list(range(MIN_SAVED))
    groups = prefix_groups([line(*long, 1000), line(*long, 2000), line(*long[:-1], 3000)])
    assert known(groups[0]).tokens.tolist() == long[:-1]
    assert len(set(groups)) == 1
    assert set(prefix_groups([line(*long[:-1], 1000), line(*long[:-1], 2000)])) == {None}


def test_groups_nest_and_are_released_from_within() -> None:
    outer = list(range(MIN_TOKENS))
    inner = [*outer, *range(100, 100 + MIN_TOKENS)]
    prompts = [line(*inner, 1000 + at) for at in range(MIN_MEMBERS)]
    prompts += [line(*outer, 2000 + at) for at in range(2)]
    groups = prefix_groups(prompts)
    first, last = known(groups[0]), known(groups[-1])
    assert first.tokens.tolist() == inner
    assert first.parent is last
    assert last.tokens.tolist() == outer
    assert (first.waiting, last.waiting) == (MIN_MEMBERS, MIN_MEMBERS + 2)
    first.states = last.states = [(1, 1)]
    for group in groups[:-2]:
        known(group).release()
    assert (first.states, last.states) == ([], [(1, 1)])
    for group in groups[-2:]:
        known(group).release()
    assert last.states == []


def test_equal_prompts_keep_their_last_token() -> None:
    prompts = [line(*range(2 * MIN_TOKENS))] * MIN_MEMBERS
    assert len(known(prefix_groups(prompts)[0]).tokens) == 2 * MIN_TOKENS - 1


def test_the_longest_go_first_and_groups_stay_together() -> None:
    shots = list(range(MIN_TOKENS))
    prompts = [line(*shots, *range(1000 * at, 1001 * at)) for at in range(1, MIN_MEMBERS + 1)]
    prompts += [line(*range(500, 500 + MIN_TOKENS + 2)), line(*range(9000, 9200))]
    order = running_order(prompts, prefix_groups(prompts))
    assert order == [5, *range(MIN_MEMBERS - 1, -1, -1), 4]


sequences = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=8)


@given(sequences)
def test_a_tree_holds_every_prefix_once(tokens: list[list[int]]) -> None:
    tree = TokenTree()
    for one in tokens:
        tree.add(one)
    assert len(tree.tokens) == len({tuple(one[:end]) for one in tokens for end in range(1, 10)
                                      if end <= len(one)})  # fmt: skip
    for one, path in zip(tokens, tree.paths, strict=True):
        assert [tree.tokens[node] for node in path] == one
        assert [tree.parents[node] for node in path] == [-1, *path[:-1]]
        assert [tree.depths[node] for node in path] == list(range(len(one)))
    unbranched = all(max(tokens, key=len)[: len(one)] == one for one in tokens)
    ordered = all(tree.parents[at] == at - 1 for at in range(len(tree.tokens)))
    assert tree.chain == ordered
    assert ordered == unbranched or not ordered


@given(sequences, st.integers(0, 3))
def test_groups_are_prefixes_of_their_members_and_leave_a_token(
    tokens: list[list[int]], long: int
) -> None:
    many = [array("i", [*([7] * MIN_TOKENS * long), *one]) for one in tokens for _ in range(2)]
    for sequence, group in zip(many, prefix_groups(many), strict=True):
        while group is not None:
            assert sequence[: len(group.tokens)] == group.tokens
            assert len(group.tokens) < len(sequence)
            above = len(group.parent.tokens) if group.parent else 0
            assert len(group.tokens) - above >= MIN_TOKENS
            group = group.parent


@given(st.lists(st.integers(0, 1), max_size=12), st.lists(st.integers(0, 1), max_size=12))
def test_common_counts_equal_first_tokens(left: list[int], right: list[int]) -> None:
    expected = 0
    while expected < min(len(left), len(right)) and left[expected] == right[expected]:
        expected += 1
    assert common_length(array("i", left), array("i", right)) == expected
