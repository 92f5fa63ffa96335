"""What is hashed of a content, and what differs between a stored one and a present one."""

from __future__ import annotations

import pytest

from mmlab.plan.content import Later, differences, hashed, is_neutral, merged, whole

PRESENT = {
    "use": "vit",
    "options": {"dim": 8, "floor": Later(0.0, 0.0), "scale": Later(2.0, 1.0)},
    "parts": [{"name": "a", "rank": Later({"k": 1, "new": Later(3, 3)}, {"k": 1})}],
}


def test_all_counts_but_what_was_added_later_and_is_neutral() -> None:
    assert hashed(PRESENT) == {
        "use": "vit",
        "options": {"dim": 8, "scale": 2.0},
        "parts": [{"name": "a"}],
    }
    assert whole(PRESENT) == {
        "use": "vit",
        "options": {"dim": 8, "floor": 0.0, "scale": 2.0},
        "parts": [{"name": "a", "rank": {"k": 1, "new": 3}}],
    }


@pytest.mark.parametrize(("value", "neutral"), [(1, True), (1, 1.0), (0, False), ("1", 1)])
def test_values_of_two_types_are_two_values(value: object, neutral: object) -> None:
    assert not is_neutral(Later(value, neutral))
    assert is_neutral(Later(value, value))


def differing(stored: object) -> list[tuple[str, str, str]]:
    return [(one.key, one.stored, one.present) for one in differences(stored, PRESENT)]


def test_equal_contents_do_not_differ() -> None:
    assert differing(whole(PRESENT)) == []


def test_a_key_added_since_is_no_difference_while_it_is_neutral() -> None:
    stored = whole(PRESENT)
    del stored["options"]["floor"]
    del stored["parts"][0]["rank"]["new"]
    assert differing(stored) == []
    del stored["options"]["scale"]
    assert differing(stored) == [("scale", "missing", "2.0")]


def test_a_key_that_is_there_no_more_was_neutral() -> None:
    stored = whole(PRESENT)
    stored["options"]["gone"] = 5
    assert differing(stored) == []


def test_differences_are_named_as_a_spec_names_them() -> None:
    stored = whole(PRESENT)
    stored["options"]["floor"] = 0.5
    stored["parts"][0]["rank"] = {"k": 2, "new": 3}
    stored["use"] = "convnet"
    assert differing(stored) == [
        ("use", '"convnet"', '"vit"'),
        ("floor", "0.5", "0.0"),
        ("parts.a.rank.k", "2", "1"),
    ]


def test_lists_of_two_lengths_differ_as_a_whole() -> None:
    assert differing({**whole(PRESENT), "parts": []})[0][:2] == ("parts", "[]")


def test_merging_keeps_what_either_side_has_alone() -> None:
    stored = {"a": 1, "old": 2, "list": [{"x": 1}], "short": [1]}
    present = {"a": 1, "new": 3, "list": [{"y": 2}], "short": [1, 2]}
    assert merged(stored, present) == {
        "a": 1,
        "old": 2,
        "new": 3,
        "list": [{"x": 1, "y": 2}],
        "short": [1, 2],
    }
