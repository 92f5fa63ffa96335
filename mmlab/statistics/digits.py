"""Digits that follow an interval's width: a figure shows as many as are known."""

from __future__ import annotations

import math

#: Decimals without an interval, of shares in per cent and of others as significant digits.
_PLAIN_DECIMALS, _PLAIN_DIGITS = 1, 4
#: From how many decimals on a number is written with an exponent.
_MOST_DECIMALS = 6


def decimals_of(low: float, high: float) -> int | None:
    """The decimals that show half the width of an interval with two digits; None for no width.

    >>> decimals_of(82.1, 91.0), decimals_of(40, 71), decimals_of(0.971, 0.9742)
    (1, 0, 4)
    """
    half = (high - low) / 2
    if not (half > 0 and math.isfinite(half)):
        return None
    return max(0, 1 - math.floor(math.log10(half)))


def interval_text(
    value: float,
    low: float | None,
    high: float | None,
    *,
    is_share: bool = False,
    is_signed: bool = False,
) -> str:
    """A value with its interval, both with the digits that the width allows; never with "±".

    A share is in per cent, a signed one in points of it. Where a share lies at an end of its own
    interval, all being hits or none, it is a range. Limits are equal of a median alone, of
    which most ranks are.

    >>> interval_text(0.8669, 0.8212, 0.9103, is_share=True)
    '86.7% [82.1, 91.0]'
    >>> interval_text(1.0, 0.8741, 1.0, is_share=True), interval_text(0.0, 0.0, 0.12, is_share=True)
    ('87.4 to 100%', '0 to 12.0%')
    >>> interval_text(0.0312, 0.0104, 0.0519, is_share=True, is_signed=True)
    '+3.1 [+1.0, +5.2]'
    >>> interval_text(2.34567, 2.1, 2.9), interval_text(0.7, None, None, is_share=True)
    ('2.35 [2.10, 2.90]', '70.0%')
    """
    factor, unit = (100.0, "" if is_signed else "%") if is_share else (1.0, "")
    if low is None or high is None:
        return _plain(value * factor, is_share, is_signed) + unit
    decimals = decimals_of(low * factor, high * factor)
    if decimals is None:
        plain = _plain(value * factor, is_share, is_signed)
        return f"{plain}{unit} [{plain}, {plain}]"
    middle, left, right = (
        written(end * factor, decimals, is_signed=is_signed) for end in (value, low, high)
    )
    if is_share and not is_signed and value in (0.0, 1.0) and value in (low, high):
        return f"0 to {right}%" if value == 0 else f"{left} to 100%"
    return f"{middle}{unit} [{left}, {right}]"


def written(value: float, decimals: int, *, is_signed: bool = False) -> str:
    """A number with so many decimals; with an exponent where they are more than six.

    >>> written(-0.04, 1, is_signed=True), written(1.2345e-8, 10), written(1234.5, 0)
    ('+0.0', '1.23e-08', '1234')
    """
    sign = "+" if is_signed else ""
    rounded = round(value, decimals) + 0.0  # -0.0 becomes 0.0
    if decimals <= _MOST_DECIMALS or rounded == 0:
        return f"{rounded:{sign}.{min(decimals, _MOST_DECIMALS)}f}"
    digits = max(0, decimals + math.floor(math.log10(abs(rounded))))
    return f"{rounded:{sign}.{digits}e}"


def _plain(value: float, is_share: bool, is_signed: bool) -> str:
    sign = "+" if is_signed else ""
    kind = f".{_PLAIN_DECIMALS}f" if is_share else f".{_PLAIN_DIGITS}g"
    return f"{value:{sign}{kind}}"
