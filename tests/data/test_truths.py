"""What a training split knows, against the library's own figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from support.planted import Points

from mmlab.data.samples import check_sample, read_outline, target_names
from mmlab.data.splits import LabelStatistics
from mmlab.data.splits import label_statistics as describe
from mmlab.errors import DataError
from mmlab.plugin import Sample, Targeted


@dataclass
class Measured(Points):
    numbers: tuple[tuple[float, ...], ...] = ()
    target_names: tuple[str, ...] = ("age", "height")

    def __getitem__(self, index: int) -> Sample:
        labels = self.targets[index]
        return Sample(f"point-{index}", self.rows[index], labels, self.numbers[index])


def measured(*numbers: tuple[float, ...]) -> Measured:
    truths = [(0,), (1,), (), (1,)][: len(numbers)]
    return Measured([{}] * len(numbers), truths, numbers=numbers)


def describe_truths(dataset: Points) -> LabelStatistics:
    return describe(read_outline(dataset), dataset)


def test_labels_are_counted_and_targets_measured_over_what_is_known() -> None:
    found = describe_truths(measured((1.0, 5.0), (2.0, math.nan), (4.0, 5.0), (9.0, 5.0)))
    assert found.label_counts == (1, 2)
    assert found.labelled_count == 3
    assert found.target_means == pytest.approx((4.0, 5.0))
    assert found.target_deviations == pytest.approx((np.std([1, 2, 4, 9]), 1.0))


def test_none_of_several_labels_is_known_and_counts_with_no_label() -> None:
    truths = [(0, 1), (), None, (1,)]
    found = describe_truths(Points([{}] * 4, truths, is_multi_label=True))
    assert (found.label_counts, found.labelled_count) == ((1, 2), 3)
    assert describe_truths(Points([{}] * 2, [(), None])).labelled_count == 0


def test_a_target_that_nobody_knows_has_no_mean() -> None:
    found = describe_truths(measured((1.0, math.nan), (2.0, math.nan)))
    assert math.isnan(found.target_means[1])


def test_a_constant_keeps_its_unit_whatever_rounding_does_to_its_mean() -> None:
    found = describe_truths(measured(*[(0.1, 0.1)] * 3))
    assert found.target_means == (0.1, 0.1)
    assert found.target_deviations == (1.0, 1.0)


def test_a_dataset_without_targets_has_no_names() -> None:
    plain = Points([{}], [(0,)])
    assert not isinstance(plain, Targeted)
    assert target_names(plain) == ()
    assert describe_truths(plain).target_means == ()


@pytest.mark.parametrize("targets", [(1.0,), (1.0, 2.0, 3.0), (1.0, math.inf)])
def test_targets_that_are_not_those_named_are_refused(targets: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="allowed: 2 finite numbers"):
        check_sample(Sample("a", {}, (), targets), 0, 2)
