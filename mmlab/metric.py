"""What a metric is, declared by whoever gives it: direction, unit, what it averages, where it goes.

Evaluators, losses and training declare their metrics; `train.best`, leaderboards, intervals, gains,
cards, charts and other tools' tables read the declaration, which is stored with every value. No
name of a metric means anything by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from mmlab.errors import PluginError, explain

Better = Literal["higher", "lower"]

#: The unit of numbers from 0 to 1, which reports write in per cent.
SHARE = "share"
#: The board on which metrics stand unless they say otherwise.
LEADERBOARD = "leaderboard"
#: What stands between the name of a suite, an evaluation of several datasets, and one of these.
OF_SUITE = "/"
#: The board of conditions under which inputs are missing or noisy.
ROBUSTNESS = "robustness"

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
#: What a metric is the median, not the mean, of.
MEDIAN_RANK = "median rank"
_MEAN_OF = re.compile(rf"-?outcome|rank<=(\d+|\{{\w+\}})|{MEDIAN_RANK}")
#: A sample's outcome and a hit among the first K are better high, all else is better low.
_OPPOSITE: Mapping[str, Better] = {"-outcome": "higher", MEDIAN_RANK: "higher"}


def by_number(name: str) -> tuple[list[str | int], str]:
    """What sorts names with the numbers in them as numbers.

    >>> sorted(["recall@10", "recall@5", "mrr", "recall@1"], key=by_number)
    ['mrr', 'recall@1', 'recall@5', 'recall@10']
    """
    parts = re.split(r"(\d+)", name)  # texts and numbers in turn, so that like meets like
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


@dataclass(frozen=True)
class Metric:
    """One metric, or a family of them, as whoever gives it declares it.

    `name` is what results call it. In the name of a family `{k}` stands for a whole number and any
    other word in braces for any text: "recall@{k}", "{target}/mse". `condition` says in the same
    way under which conditions an evaluator gives it, "" where there are none.

    `better` says which of two values is the better one, None where neither is (a learning rate): a
    metric without a direction has no places and is never the best unless a spec says which way.
    `unit` is a word, any word: "share" is a number from 0 to 1, shown in per cent; others ("rank",
    "nats", "seconds", or "" for a plain number) are shown with four digits.

    `mean_of` says of what of its samples' stored rows it is the mean, so that one run has an
    interval over samples: "outcome", "-outcome" (an error, whose outcomes are minus the errors),
    "rank<={k}" (the share of ranks up to k), or "median rank", which is their median. `low_of` and
    `high_of` name the metric of which this one is an end of a 95 % interval, over draws that the
    evaluator made: it is no metric of its own then. `board` is the table of a report on which it
    stands, "leaderboard" or "robustness". `has_gain` asks for it how much a fusion gains over its
    best input alone; it needs outcomes.

    Metrics are shown in the order in which they are declared; an evaluation is ranked by the first
    that it has a value of. Raises PluginError for a declaration that contradicts itself.

    >>> Metric("recall@{k}", "higher", SHARE, mean_of="rank<={k}").of("recall@5").mean_of
    'rank<=5'
    """

    name: str
    better: Better | None = None
    unit: str = ""
    mean_of: str | None = None
    low_of: str | None = None
    high_of: str | None = None
    board: str = LEADERBOARD
    has_gain: bool = False
    condition: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise _contradiction(self, "it has no name", "''", 'a text: "recall@{k}", say')
        if self.better not in ("higher", "lower", None):
            raise _contradiction(self, "`better` is no direction", repr(self.better), _DIRECTIONS)
        if self.board not in (LEADERBOARD, ROBUSTNESS):
            raise _contradiction(self, "no such `board`", repr(self.board), _BOARDS)
        if self.mean_of is not None:
            self._check_mean(self.mean_of)
        if self.has_gain and not (self.mean_of or "").endswith("outcome"):
            found = f"has_gain, mean_of {self.mean_of!r}"
            raise _contradiction(self, "gains are of outcomes", found, '"outcome" or "-outcome"')

    def _check_mean(self, mean_of: str) -> None:
        if not _MEAN_OF.fullmatch(mean_of):
            raise _contradiction(self, "`mean_of` is nothing stored", repr(mean_of), _MEANS)
        if self.better == _OPPOSITE.get(mean_of, "lower"):
            found = f"better {self.better!r}, mean_of {mean_of!r}"
            allowed = (
                'outcomes and hits are better high: "higher" for these, "lower" for "-outcome"'
            )
            raise _contradiction(self, "`better` and `mean_of` contradict", found, allowed)

    @property
    def path(self) -> str:
        """The name behind its condition, as `train.best` and curves have it."""
        return "/".join(filter(None, (self.condition, self.name)))

    @property
    def is_share(self) -> bool:
        """Whether it lies in [0, 1] by its definition, so that it reads well in per cent."""
        return self.unit == SHARE

    def bind(self, **words: object) -> Metric:
        """The member of a family: `bind(k=5)` of "recall@{k}" is "recall@5"."""
        texts = {f"{{{word}}}": str(value) for word, value in words.items()}
        return replace(
            self,
            name=_filled(self.name, texts),
            mean_of=self.mean_of and _filled(self.mean_of, texts),
            low_of=self.low_of and _filled(self.low_of, texts),
            high_of=self.high_of and _filled(self.high_of, texts),
        )

    def of(self, name: str, condition: str = "") -> Metric | None:
        """The declaration of a name under a condition; None where it is of other ones.

        >>> Metric("top{k}").of("top5"), Metric("top{k}").of("topmost")
        (Metric(name='top5', better=None, unit='', ...), None)
        """
        match = _pattern(self.name).fullmatch(name)
        if match is None or not _pattern(self.condition).fullmatch(condition):
            return None
        return replace(self.bind(**match.groupdict()), condition=condition)

    def covers(self, path: str) -> bool:
        """Whether a name behind its condition is one of this declaration's."""
        return _pattern(self.path).fullmatch(path) is not None


#: What every loss minimises: the scalar of this name, whose unit a loss may declare.
LOSS = Metric("loss", "lower")


def under(
    condition: str, metrics: Iterable[Metric], board: str = LEADERBOARD
) -> tuple[Metric, ...]:
    """The same metrics, given under conditions and shown on a board; none of them tells gains."""
    return tuple(
        replace(metric, condition=condition, board=board, has_gain=False) for metric in metrics
    )


def find(metrics: Sequence[Metric], name: str, condition: str = "") -> tuple[int, Metric] | None:
    """Place and declaration of a name, the first that has it; None where none declares it."""
    found = ((place, metric.of(name, condition)) for place, metric in enumerate(metrics))
    return next(((place, metric) for place, metric in found if metric is not None), None)


def _filled(text: str, words: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: words.get(match[0], match[0]), text)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """What a name with words in braces stands for; a word that comes twice means one text."""
    parts, seen, end = [], set[str](), 0
    for match in _PLACEHOLDER.finditer(text):
        word = match[1]
        body = r"\d+" if word == "k" else ".+"
        group = f"(?P={word})" if word in seen else f"(?P<{word}>{body})"
        parts += [re.escape(text[end : match.start()]), group]
        seen.add(word)
        end = match.end()
    return re.compile("".join([*parts, re.escape(text[end:])]), re.DOTALL)


_DIRECTIONS = '"higher", "lower", or None where neither is better'
_BOARDS = f'"{LEADERBOARD}" or "{ROBUSTNESS}"'
_MEANS = '"outcome", "-outcome", "rank<={k}" or "median rank"'


def _contradiction(metric: Metric, fault: str, found: str, allowed: str) -> PluginError:
    return PluginError(
        explain(
            f"metric {metric.name!r}",
            fault,
            found=found,
            allowed=allowed,
            next_step="correct the declaration; see Metric in mmlab.plugin",
        )
    )
