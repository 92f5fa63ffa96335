"""Numbers of a comparison as texts: differences with the digits that their intervals allow."""

from __future__ import annotations

from mmlab.metric import SHARE
from mmlab.report.boards.words import number as plain_number
from mmlab.report.compare.verdicts import Verdict
from mmlab.statistics.differences import Difference
from mmlab.statistics.digits import decimals_of, written


def number(verdict: Verdict, value: float, of: Difference | None = None) -> str:
    """A value, in as many digits as its difference is known to: the verdict's, or another."""
    decimals, is_share = _decimals(verdict, of), verdict.question.unit == SHARE
    if decimals is None:
        return plain_number(verdict.question.unit, value)
    return written(100 * value, decimals) + "%" if is_share else written(value, decimals)


def _decimals(verdict: Verdict, of: Difference | None) -> int | None:
    """Those that the width of an interval allows; in points of a per cent for shares."""
    factor, single = _factor(verdict), of or verdict.difference
    low, high = (single.low, single.high) if of or not verdict.joint else verdict.joint
    return None if low is None or high is None else decimals_of(factor * low, factor * high)


def _factor(verdict: Verdict) -> int:
    return 100 if verdict.question.unit == SHARE else 1


def signed(verdict: Verdict, of: Difference | None = None) -> str:
    """A difference, the verdict's or another, in as many digits as its interval's width allows."""
    value, decimals = (of or verdict.difference).value, _decimals(verdict, of)
    if decimals is None:
        return plain_difference(verdict.question.unit, value)
    return written(_factor(verdict) * value, decimals, is_signed=True)


def plain_difference(unit: str, value: float) -> str:
    """A difference without an interval, in points of a per cent for shares.

    >>> plain_difference("share", 0.012), plain_difference("nats", -0.5)
    ('+1.2', '-0.5')
    """
    return f"{100 * value:+.1f}" if unit == SHARE else f"{value:+.4g}"


def limits(
    verdict: Verdict, difference: Difference, ends: tuple[float, float] | None = None
) -> str:
    """An interval, or why there is none; `ends` are others than the difference's own."""
    low, high = ends or (difference.low, difference.high)
    if low is None or high is None:
        return difference.reason or "none"
    factor = _factor(verdict)
    decimals = decimals_of(factor * low, factor * high)
    if decimals is None:  # no width
        return plain_difference(verdict.question.unit, low)
    return " to ".join(written(factor * end, decimals, is_signed=True) for end in (low, high))


def interval(verdict: Verdict) -> str:
    """That of a difference; of three sides and more that which holds for all together."""
    return limits(verdict, verdict.difference, verdict.joint)


def difference_text(verdict: Verdict) -> str:
    """A difference with its interval."""
    unit = " points" if verdict.question.unit == SHARE else ""
    return f"{signed(verdict)}{unit}, {interval(verdict)}"


def p_text(value: float | None) -> str:
    """A p value; those below .001 are told as that.

    >>> p_text(0.0432), p_text(0.0001), p_text(None)
    ('.043', '< .001', '—')
    """
    if value is None:
        return "—"
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")
