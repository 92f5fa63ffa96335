"""The short forms beside statsmodels, which only tests have: it brings pandas with it."""

from __future__ import annotations

import numpy as np
import pytest
from support.coverage.usual import wilson_interval

from mmlab.statistics.crossed import measure
from mmlab.statistics.differences import unpaired_limits
from mmlab.statistics.multiple import benjamini_hochberg, holm
from mmlab.statistics.pairs import exact_mcnemar
from mmlab.statistics.planning import design_of, smallest_detectable
from mmlab.statistics.shares import estimate_share

pytest.importorskip("statsmodels")
pd = pytest.importorskip("pandas")

import statsmodels.api as sm  # noqa: E402  (after the check that it is there)
from statsmodels.formula.api import ols  # noqa: E402
from statsmodels.stats.contingency_tables import mcnemar  # noqa: E402
from statsmodels.stats.multitest import multipletests  # noqa: E402
from statsmodels.stats.power import TTestPower  # noqa: E402
from statsmodels.stats.proportion import (  # noqa: E402
    confint_proportions_2indep,
    proportion_confint,
)


@pytest.mark.parametrize("table", [[[9, 4], [1, 6]], [[0, 12], [3, 0]], [[5, 2], [2, 5]]])
def test_mcnemar_s_exact_test(table: list[list[int]]) -> None:
    cells = [(1, 1, table[0][0]), (1, 0, table[0][1]), (0, 1, table[1][0]), (0, 0, table[1][1])]
    left = np.concatenate([np.full(count, one) for one, _, count in cells])
    right = np.concatenate([np.full(count, other) for _, other, count in cells])
    assert exact_mcnemar(left, right) == pytest.approx(mcnemar(table, exact=True).pvalue)


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_adjusted_p_values(count: int) -> None:
    chances = np.random.default_rng(count).beta(0.4, 3, count)
    for adjust, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        expected = multipletests(chances, method=method)[1]
        assert adjust(chances.tolist()) == pytest.approx(expected.tolist())


def test_wilson_s_interval_of_one_seed_and_many_samples() -> None:
    outcomes = (np.arange(20_000) % 50 < 37).astype(float)[None]
    expected = proportion_confint(int(outcomes.sum()), 20_000, method="wilson")
    found = estimate_share(outcomes)
    assert (found.low, found.high) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("hits", [(56, 70, 48, 80), (9, 10, 3, 10), (10, 10, 0, 20)])
def test_newcombe_s_limits_of_an_unpaired_difference(hits: tuple[int, int, int, int]) -> None:
    sides = [
        (np.array(k / n), *wilson_interval(np.array(float(k)), np.array(float(n))))
        for k, n in (hits[:2], hits[2:])
    ]
    expected = confint_proportions_2indep(*hits, compare="diff", method="newcomb")
    assert tuple(map(float, unpaired_limits(sides[0], sides[1]))) == pytest.approx(expected)


def test_mean_squares_of_crossed_seeds_and_samples() -> None:
    values = np.random.default_rng(1).normal(size=(4, 12)) + np.arange(4)[:, None]
    seeds, samples = np.indices(values.shape)
    rows = pd.DataFrame({"y": values.ravel(), "seed": seeds.ravel(), "sample": samples.ravel()})
    table = sm.stats.anova_lm(ols("y ~ C(seed) + C(sample)", rows).fit())
    found = measure(values).squares
    expected = table["mean_sq"].tolist()
    assert [found.of_seeds, found.of_clusters, found.of_rest] == pytest.approx(expected)


def test_the_variance_of_a_mean_over_clusters_of_one_size() -> None:
    values, ids = np.random.default_rng(2).normal(size=60), np.arange(60) // 5
    fitted = sm.OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": ids})
    found = measure(values[None], ids).squares
    assert found.of_clusters / found.clusters == pytest.approx(fitted.bse[0] ** 2)


@pytest.mark.parametrize("count", [30, 200])
def test_the_difference_that_a_paired_t_test_shows_four_times_in_five(count: int) -> None:
    left, right = np.random.default_rng(count).normal(size=(2, 1, count))
    deviation = float((left - right).std(ddof=1))
    effect = TTestPower().solve_power(nobs=count, alpha=0.05, power=0.8)
    found = smallest_detectable(design_of(left, right, scale="unbounded"))
    assert found == pytest.approx(effect * deviation, rel=0.01)
