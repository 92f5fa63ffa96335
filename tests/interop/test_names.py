"""Names of test sets, there and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mmlab_datasets.published.catalogue import TEST_SETS, describe

from mmlab.evaluate.evaluators.retrieval import METRICS as RETRIEVAL
from mmlab.evaluate.metrics import METRICS as LABELS
from mmlab.interop import names
from mmlab.metric import find


@given(st.sampled_from(sorted(names.TEST_SETS)))
def test_names_lead_there_and_back(dataset: str) -> None:
    ours = names.test_set_of(dataset)
    assert names.test_set_of(names.dataset_of(ours)) == ours


def test_published_metrics_are_what_our_evaluators_declare_by_their_names() -> None:
    ours = {metric.name: metric for metric in (*LABELS, *RETRIEVAL)}
    shared = {name: find(names.PUBLISHED, name) for name in ours}
    known = {name: found[1] for name, found in shared.items() if found is not None}
    assert len(known) > 7
    for name, metric in known.items():
        assert (metric.better, metric.unit) == (ours[name].better, ours[name].unit), name


def test_published_datasets_have_the_names_and_metrics_of_what_is_imported() -> None:
    assert set(TEST_SETS) - set(names.TEST_SETS.values()) == {"fashion-mnist/test"}
    for test_set in TEST_SETS:
        dataset, _, name = test_set.partition("/")
        quoted = describe(dataset).test_set(name).main_metric
        assert (names.main_metric_of(test_set, "zero_shot") or "top1") == quoted
