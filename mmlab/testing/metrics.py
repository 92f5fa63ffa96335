"""The conformance check of metrics of labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from mmlab.metric import Metric, find
from mmlab.plugin import LabelMetric, ScoredSamples
from mmlab.testing.tools import (
    BUILD,
    ContractError,
    Factory,
    ambient,
    build,
    check_metrics,
    check_schema,
    require,
)

#: Samples and labels of what the check asks about.
SAMPLES, LABELS = 24, 6
#: Between two orders of the same samples, sums in float64 differ by far less.
TOLERANCE = 1e-6


def check_metric(
    factory: Factory, *, takes_multi_label: bool = True, takes_ties: bool = True, **options: object
) -> None:
    """Check a metric of labels. Raises ContractError, saying what does not hold.

    It is asked about samples of one label each, of several or none each (unless it declares not to
    take these), of perfect and of reversed scores, and about a single sample. Values are declared,
    finite or None, in [0, 1] if shares; the same twice and in any order of samples; better for
    perfect scores than for reversed ones as `better` says; and what `mean_of` promises they are.
    """
    resolved = check_schema("metric", factory, options)
    check_metrics(factory, [])
    metric = cast(LabelMetric, build(factory, resolved, BUILD))
    plain = scored(seed=1)
    values = _asked(factory, metric, plain)
    require(bool(values), "it must give at least one value")
    _check_repeatable(factory, metric, plain)
    _check_directions(factory, metric)
    _check_means(factory, metric, plain)
    _asked(factory, metric, chosen(plain, np.arange(1)))
    if takes_multi_label:
        several = scored(seed=2, is_multi_label=True)
        _check_repeatable(factory, metric, several)
        _check_means(factory, metric, several)
        _asked(factory, metric, chosen(several, np.array([0])))  # no label is true of it
    if takes_ties:
        _check_means(factory, metric, tied(plain))


def scored(seed: int, *, is_multi_label: bool = False) -> ScoredSamples:
    """Samples with normal scores; of several labels the first sample has none that is true."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(SAMPLES, LABELS)).astype(np.float32)
    truths: list[tuple[int, ...]] = [(int(one),) for one in random.integers(LABELS, size=SAMPLES)]
    if is_multi_label:
        counts = [0, *random.integers(1, LABELS, size=SAMPLES - 1)]
        truths = [tuple(sorted(random.permutation(LABELS)[:n].tolist())) for n in counts]
    present = {"image": np.ones(SAMPLES, bool), "text": random.random(SAMPLES) < 0.7}
    labels = tuple(f"label {one}" for one in range(LABELS))
    return _with_scores(
        ScoredSamples(scores, scores, tuple(truths), labels, present, is_multi_label), scores
    )


def chosen(samples: ScoredSamples, rows: np.ndarray[Any, np.dtype[np.intp]]) -> ScoredSamples:
    """Some of the samples, in this order."""
    return replace(
        samples,
        scores=_frozen(samples.scores[rows]),
        probabilities=_frozen(samples.probabilities[rows]),
        truths=tuple(samples.truths[row] for row in rows),
        present={key: _frozen(values[rows]) for key, values in samples.present.items()},
    )


def tied(samples: ScoredSamples) -> ScoredSamples:
    """The samples with scores of which many are equal."""
    return _with_scores(samples, np.round(samples.scores))


def _with_scores(samples: ScoredSamples, scores: Any) -> ScoredSamples:
    values = scores.astype(np.float64)
    if samples.is_multi_label:
        probabilities = 1 / (1 + np.exp(-values))
    else:
        powers = np.exp(values - values.max(1, keepdims=True))
        probabilities = powers / powers.sum(1, keepdims=True)
    given = _frozen(scores.astype(np.float32)), _frozen(probabilities.astype(np.float32))
    present = {key: _frozen(values) for key, values in samples.present.items()}
    return replace(samples, scores=given[0], probabilities=given[1], present=present)


def _frozen(values: Any) -> Any:  # Any: arrays of several types
    copied = values.copy()
    copied.flags.writeable = False
    return copied


def _asked(
    factory: Factory, metric: LabelMetric, samples: ScoredSamples
) -> dict[str, float | None]:
    """The values, each declared, finite and in its range."""
    with ambient(BUILD):
        try:
            given = metric(samples)
        except Exception as error:  # a plugin may fail in any way
            is_write = isinstance(error, ValueError) and "read-only" in str(error)
            fault = "it must not change what it is given: make a copy first"
            raise ContractError(fault if is_write else _failed(samples, error)) from error
    require(isinstance(given, Mapping), f"it must give values by name, not {type(given).__name__}")
    check_metrics(factory, list(given))
    for name, value in given.items():
        _check_value(factory, name, value)
    return dict(given)


def _failed(samples: ScoredSamples, error: Exception) -> str:
    kind = "several labels or none" if samples.is_multi_label else "one label"
    said = f"{type(error).__name__}: {error}"
    return (
        f"it fails on samples that evaluations have, {len(samples.truths)} of {kind} each: {said}"
    )


def _check_value(factory: Factory, name: str, value: object) -> None:
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    require(is_number, f"{name} must be a Python number or None, not {type(value).__name__}")
    number = float(cast(float, value))
    require(math.isfinite(number), f"{name} must be finite; where undefined it is None")
    declared = _declared(factory, name)
    is_in_range = not declared.is_share or 0 <= number <= 1
    require(is_in_range, f"{name} is declared a share, in [0, 1], and was {number:.4g}")


def _declared(factory: Any, name: str) -> Metric:
    found = find(factory.metrics, name)
    assert found is not None, "checked before"
    return found[1]


def _check_repeatable(factory: Factory, metric: LabelMetric, samples: ScoredSamples) -> None:
    """The same values for the same samples, whatever was asked before and in whatever order."""
    first = _asked(factory, metric, samples)
    _asked(factory, metric, chosen(samples, np.arange(3)))
    again = _asked(factory, metric, samples)
    require(first == again, f"it must have no state: {first} at first, then {again}")
    other = _asked(factory, metric, chosen(samples, np.arange(SAMPLES)[::-1]))
    differing = [name for name in first if not _is_close(first[name], other.get(name))]
    require(not differing, f"the order of samples must change no value: it changes {differing}")


def _is_close(value: float | None, other: float | None) -> bool:
    if value is None or other is None:
        return value is other
    return math.isclose(value, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _check_directions(factory: Factory, metric: LabelMetric) -> None:
    """Truths that score highest are no worse, by the declaration, than truths that score lowest."""
    samples = scored(seed=3)
    signs = np.zeros(samples.scores.shape)
    for row, truths in enumerate(samples.truths):
        signs[row, list(truths)] = 8
    right = _asked(factory, metric, _with_scores(samples, samples.scores * 0.1 + signs))
    wrong = _asked(factory, metric, _with_scores(samples, samples.scores * 0.1 - signs))
    for name, value in right.items():
        other, better = wrong.get(name), _declared(factory, name).better
        if value is None or other is None or better is None:
            continue
        is_worse = value < other if better == "higher" else value > other
        said = f"{value:.4g} where every truth scores highest, {other:.4g} where lowest"
        require(not is_worse, f'{name} is declared better = "{better}", but is {said}')


def _check_means(factory: Factory, metric: LabelMetric, samples: ScoredSamples) -> None:
    """What `mean_of` says: the mean, or the median, of what is stored of every sample."""
    for name, value in _asked(factory, metric, samples).items():
        mean_of = _declared(factory, name).mean_of
        if value is None or mean_of is None:
            continue
        expected = _mean(mean_of, _ranks(samples))
        said = f'{name} is declared mean_of = "{mean_of}", which is {expected:.6g}'
        require(_is_close(value, expected), f"{said}, and was {value:.6g}; ties go by label id")


def _ranks(samples: ScoredSamples) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Rank from 1 of the best truth of every sample that has one, by (-score, label id)."""
    order = np.argsort(-samples.scores, axis=1, kind="stable")
    places = np.argsort(order, axis=1)
    pairs = zip(places, samples.truths, strict=True)
    return np.array([1 + row[list(truths)].min() for row, truths in pairs if truths])


def _mean(mean_of: str, ranks: np.ndarray[Any, np.dtype[np.intp]]) -> float:
    """The stored rows' own value: outcomes are hits of the first label."""
    kinds: Mapping[str, Callable[[], Any]] = {
        "outcome": lambda: (ranks == 1).mean(),
        "-outcome": lambda: -(ranks == 1).mean(),
        "median rank": lambda: np.median(ranks),
    }
    if mean_of in kinds:
        return float(kinds[mean_of]())
    return float((ranks <= int(mean_of.removeprefix("rank<="))).mean())
