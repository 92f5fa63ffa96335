"""Zero-shot cards: one sample, the labels ranked first for it, and where the truth came.

Where there is no card, an error says why: the run is not done, nothing ranked labels, or not for
this sample.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from mmlab.errors import UsageError, explain
from mmlab.store import RunRow, Store
from mmlab.store.bulk import among
from mmlab.store.views import label_rankings, run_evaluations, sample_outcomes


@dataclass(frozen=True)
class Bar:
    """One ranked label, as the prompt `before` + label + `after`.

    `score` is its probability, or its score where scores are no probabilities. `is_beyond` marks a
    truth that is not among the first labels and is shown after an ellipsis. `labels` has more than
    one entry there only: the sample has several true labels, and this is the rank of the best.
    """

    rank: int
    labels: tuple[str, ...]
    before: str
    after: str
    score: float | None
    is_truth: bool
    is_beyond: bool = False


@dataclass(frozen=True)
class Card:
    """What one model says about one sample. `probability` is that of the best-ranked true label.

    Of an input of one's own `is_judged` may be False: nobody said which label is true.
    """

    run_id: str
    experiment: str
    cell: str
    seed: int
    evaluation: str
    condition: str
    sample: str
    truths: tuple[str, ...]
    rank: int | None
    label_count: int
    probability: float | None
    top_probability: float | None
    has_tie: bool
    bars: tuple[Bar, ...]
    picture: bytes | None
    is_judged: bool = True

    @property
    def title(self) -> str:
        """The true labels, as the lecture's pictures name them: "airplane, person".

        Of an input whose truth is not known, the label ranked first.
        """
        if not self.is_judged:
            return self.bars[0].labels[0]
        return ", ".join(self.truths) or "none of the labels"  # unknown ones are not evaluated

    @property
    def percent(self) -> str:
        """The title's probability: "(90.1%)", or nothing where scores are no probabilities."""
        shown = self.probability if self.is_judged else self.top_probability
        return "" if shown is None else f"({shown:.1%})"

    @property
    def placing(self) -> str:
        """For example "Ranked 1 out of 101 labels"."""
        if not self.is_judged:
            return f"Ranked first of {self.label_count} labels"
        if self.rank is None and self.truths:
            return f"Not among the first {len(self.bars)} of {self.label_count} labels"
        if self.rank is None:
            return f"No true label among {self.label_count} labels"
        return f"Ranked {self.rank} out of {self.label_count} labels"

    @property
    def note(self) -> str:
        """Which number is printed, and what else must be known to read it."""
        parts = [self._meaning()]
        if len(self.truths) > 1:
            parts.append(f"{len(self.truths)} labels are true; the best-ranked one counts")
        if self.has_tie:
            parts.append("another label has the truth's very score; the lower label id goes first")
        return "; ".join(filter(None, parts))

    @property
    def picture_uri(self) -> str | None:
        """The picture as a `data:` URI; None without one."""
        return webp_uri(self.picture)

    @property
    def has_probabilities(self) -> bool:
        """Whether the bars' scores are probabilities."""
        return self.top_probability is not None

    def score_text(self, bar: Bar) -> str:
        """A bar's number: per cent for a probability, four digits for a score."""
        if bar.score is None:
            return "—"
        return f"{bar.score:.1%}" if self.has_probabilities else f"{bar.score:.4g}"

    def mark(self, bar: Bar) -> str:
        """A check for a true label, a cross for any other; nothing where nobody knows."""
        if not self.is_judged:
            return ""
        return "✓" if bar.is_truth else "✗"

    @property
    def is_hit(self) -> bool:
        """Whether a true label is ranked first."""
        return self.rank == 1

    def _meaning(self) -> str:
        if not self.is_judged:
            return "which label is true was not said"
        if self.rank is None and (self.has_probabilities or not self.truths):
            return ""
        if self.probability is None:
            return "numbers are scores, not probabilities"
        if self.is_hit or self.top_probability is None:
            return f"{self.probability:.1%} is the probability of the true label"
        return (
            f"{self.probability:.1%} is the probability of the true label; "
            f"the label ranked first has {self.top_probability:.1%}"
        )


def webp_uri(picture: bytes | None) -> str | None:
    """WebP bytes as a `data:` URI, which a page holds; None for None."""
    if picture is None:
        return None
    return "data:image/webp;base64," + base64.b64encode(picture).decode()


def prompt_parts(templates: Sequence[str]) -> tuple[str, str]:
    """What stands before and after the label in the first template; nothing without templates.

    >>> prompt_parts(["a photo of a {}.", "art of {}."])
    ('a photo of a ', '.')
    """
    before, _, after = (templates[0] if templates else "{}").partition("{}")
    return before, after


def spread(total: int, count: int) -> list[int]:
    """`count` positions of 0 .. total - 1 at equal distances, the same every time.

    >>> spread(10, 5), spread(3, 5)
    ([1, 3, 5, 7, 9], [0, 1, 2])
    """
    count = min(total, count)
    return [(2 * place + 1) * total // (2 * count) for place in range(count)]


def not_done(run: RunRow) -> UsageError:
    """For a run that failed, or has not come to its evaluations."""
    is_failed = run.status == "failed"
    return UsageError(
        explain(
            f"run {run.run_id[:8]}",
            "it failed, and has no cards" if is_failed else "it is not done, and has no cards yet",
            found=(run.error or "").partition("\n")[0] or run.status,
            allowed="a done run",
            next_step=f"see why with: mmlab show {run.run_id[:8]} --log"
            if is_failed
            else "wait for it, or find a done one with: mmlab ls --status done",
        )
    )


def no_cards(store: Store, run: str, evaluation: str | None) -> UsageError:
    """For a run none of whose evaluations, or not the named one, ranked labels."""
    row = run_evaluations.c
    query = select(row.evaluation).where(row.run_id == run).distinct()
    names = sorted(store.frame(query)["evaluation"])
    if evaluation is not None and evaluation not in names:
        fault, found = "no such evaluation", f"{evaluation!a}; it has {_listed(names)}"
    else:
        fault = (
            "no evaluation of it ranked labels"
            if evaluation is None
            else "this evaluation ranked no labels"
        )
        found = _listed(names) if evaluation is None else repr(evaluation)
    return UsageError(
        explain(
            f"run {run[:8]}",
            fault,
            found=found,
            allowed=f"an evaluation that ranks labels{_rankers(store)}",
            next_step=f"see its evaluations with: mmlab show {run[:8]}",
        )
    )


def _rankers(store: Store) -> str:
    """The evaluators of this database that do, if any."""
    row, ranked = run_evaluations.c, label_rankings.c
    ranks = select(ranked.rank).where(ranked.evaluation_id == row.evaluation_id).exists()
    query = select(row.evaluator).where(ranks).distinct()
    names = sorted(store.frame(query)["evaluator"])
    return f": here those by {', '.join(names)}" if names else ""


def not_asked(store: Store, run: str, sample: str, evaluated: Sequence[int]) -> UsageError:
    """For a sample that none of these evaluations, of which there are some, ranked labels for."""
    row, asked = run_evaluations.c, sample_outcomes.c
    chosen = among(row.evaluation_id, evaluated)
    splits = store.frame(select(row.split).where(chosen).distinct())["split"].to_list()
    query = select(asked.sample).where(asked.evaluation_id == evaluated[0])
    known = store.frame(query.order_by(asked.sample_id).limit(3))["sample"].to_list()
    words = " and ".join(sorted(splits))
    return UsageError(
        explain(
            f"run {run[:8]}",
            f"no ranking of labels is stored for this sample: the {words} split was evaluated",
            found=ascii(sample),
            allowed=f"a sample of {words}, such as {', '.join(map(ascii, known))}",
            next_step="name one of these",
        )
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no evaluation at all"
