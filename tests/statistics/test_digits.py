"""Digits of figures: as many as the width of the interval allows."""

from __future__ import annotations

import pytest

from mmlab.statistics.digits import decimals_of, interval_text


@pytest.mark.parametrize("width", [1e-9, 0.003, 0.1, 0.9, 1, 7, 31, 199, 5000])
def test_half_the_width_is_shown_with_two_digits_or_as_a_whole_number(width: float) -> None:
    decimals = decimals_of(5 - width / 2, 5 + width / 2)
    assert decimals is not None
    shown = round(width / 2 * 10**decimals)
    assert 10 <= shown <= 100 or (decimals == 0 and width / 2 >= 10)


def test_more_samples_show_more_digits() -> None:
    texts = [
        interval_text(0.87654, 0.87654 - w, 0.87654 + w, is_share=True) for w in (0.2, 0.02, 0.002)
    ]
    assert texts == ["88% [68, 108]", "87.7% [85.7, 89.7]", "87.65% [87.45, 87.85]"]


def test_no_interval_is_ever_written_with_a_plus_minus() -> None:
    for low, high in ((0.4, 0.6), (None, None), (0.5, 0.5), (0.1, 0.6)):
        for is_share in (True, False):
            assert "±" not in interval_text(0.5, low, high, is_share=is_share)


def test_a_difference_shows_its_sign_at_both_ends() -> None:
    assert interval_text(-0.01, -0.03, 0.01, is_share=True, is_signed=True) == "-1.0 [-3.0, +1.0]"
    assert interval_text(0.5, 0.25, 0.75, is_signed=True) == "+0.50 [+0.25, +0.75]"


def test_a_median_whose_limits_are_equal_shows_them() -> None:
    assert interval_text(2.0, 2.0, 2.0) == "2 [2, 2]"
    assert interval_text(2.0, None, None) == "2"


def test_tiny_losses_are_written_with_an_exponent() -> None:
    assert interval_text(3.21e-8, 3.0e-8, 3.5e-8) == "3.21e-08 [3.00e-08, 3.50e-08]"
