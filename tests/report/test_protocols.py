"""What sets two protocols apart is told in words, whatever tells them apart."""

from __future__ import annotations

from typing import Any

import pytest

from mmlab.report.boards.protocols import tell_differences

CASES: list[tuple[Any, Any, str]] = [
    (1, 1.0, "option k (1 here, 1.0 there)"),
    (True, 1, "option k (true here, 1 there)"),
    ("1", 1, 'option k ("1" here, 1 there)'),
    ("a ", "a", 'option k ("a " here, "a" there)'),
    ([1, 2], [1, 3], "option k ([1, 2] here, [1, 3] there)"),
    (1, 1, ""),
]


@pytest.mark.parametrize(("here", "there", "told"), CASES)
def test_options_are_told_where_their_hashes_differ(here: Any, there: Any, told: str) -> None:
    assert tell_differences({"options": {"k": here}}, {"options": {"k": there}}) == told


def test_what_no_option_of_a_spec_sets_is_not_called_one() -> None:
    here, there = ({"options": {"shots_per_label": shots}} for shots in (1, 4))
    assert tell_differences(here, there) == "the shots per label (1 here, 4 there)"
