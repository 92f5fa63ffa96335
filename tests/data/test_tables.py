"""Rows of kept features: found by sample, drawn among captions, batched as if they were read."""

from __future__ import annotations

import itertools

import pytest
import torch
from support.planted import Points, Vector

from mmlab.data.kept_batches import (
    kept_equal_batches,
    kept_evaluation_batches,
    kept_training_batches,
)
from mmlab.data.loader import equal_batches, evaluation_batches, training_batches
from mmlab.data.order import Order
from mmlab.data.reader import Reader, make_readers
from mmlab.data.samples import read_outline
from mmlab.data.tables import CachedSplit, FeatureTable, InputTable
from mmlab.plugin import Batch, Features, PluginError

#: Samples with two captions, one, none; and a fourth with one.
STARTS = torch.tensor([0, 2, 3, 3, 4])


def table(width: int = 3) -> FeatureTable:
    pooled = torch.arange(5.0 * width).reshape(5, width)
    return FeatureTable(Features.of(pooled), STARTS)


def test_evaluation_takes_the_first_row_and_nothing_where_there_is_none() -> None:
    assert [table().row(index, train=False) for index in range(4)] == [0, 2, None, 3]
    rows, present = table().first_rows(slice(None))
    assert rows.tolist() == [0, 2, 4, 3]  # row 4 is the placeholder's
    assert present.tolist() == [True, True, False, True]
    assert table().take(rows).pooled[2].tolist() == [12.0, 13.0, 14.0]


def test_training_draws_every_row_of_a_sample_and_draws_nothing_where_it_need_not() -> None:
    torch.manual_seed(0)
    assert {table().row(0, train=True) for _ in range(20)} == {0, 1}
    state = torch.get_rng_state()
    assert [table().row(index, train=True) for index in (1, 2, 3)] == [2, None, 3]
    assert torch.equal(torch.get_rng_state(), state)


def test_tokens_and_masks_are_rows_too() -> None:
    features = Features.of(torch.rand(5, 2), torch.rand(5, 4, 3), torch.rand(5, 4) > 0.5)
    taken = FeatureTable(features, STARTS).take(torch.tensor([3, 0]))
    assert taken.tokens is not None
    assert taken.mask is not None
    assert features.tokens is not None
    torch.testing.assert_close(taken.tokens, features.tokens[[3, 0]], rtol=0, atol=0)
    assert taken.mask.shape == (2, 4)


ROWS = [
    {"image": [1.0, 2.0], "text": ("a", "bb", "ccc")},
    {"image": [3.0, 4.0]},
    {"image": [5.0, 6.0], "text": "dddd"},
    {"image": [7.0, 8.0], "text": ("e", "f")},
    {"image": [9.0, 1.0], "text": ("g", "h")},
]


class Codes(Vector):
    """Encodes a text as its length and the code of its first letter."""

    def transform(self, raw: object, train: bool) -> torch.Tensor:
        return torch.tensor([float(len(str(raw))), float(ord(str(raw)[0]))])


def planted() -> tuple[Points, dict[str, Reader], CachedSplit]:
    """Samples, their readers, and tables of what an identity encoder makes of them."""
    dataset = Points(ROWS, [(0,), (1,), (), (1,), (0,)])
    encoders = {"image": Vector(), "text": Codes()}
    readers = make_readers(dataset, encoders, {"image": "image", "text": "text"})
    tables = {key: _table_of(dataset, reader) for key, reader in readers.items()}
    return dataset, readers, CachedSplit(tables, read_outline(dataset))


def _table_of(dataset: Points, reader: Reader) -> FeatureTable:
    values = [row.get(reader.modality, ()) for row in dataset.rows]
    several = [value if isinstance(value, tuple) else (value,) for value in values]
    rows = [reader.encoder.transform(one, False) for each in several for one in each]
    starts = torch.tensor([0, *map(len, several)]).cumsum(0)
    return FeatureTable(Features.of(torch.stack([*rows, reader.placeholder])), starts)


def same(kept: Batch, read: Batch) -> None:
    """Features are what an identity encoder would make of the inputs."""
    assert kept.index.tolist() == read.index.tolist()
    assert kept.target.tolist() == read.target.tolist()
    for key, x in read.inputs.items():
        assert kept.present[key].tolist() == read.present[key].tolist()
        torch.testing.assert_close(kept.features[key].pooled, x, rtol=0, atol=0)


def inputs_of(table: FeatureTable) -> InputTable:
    """The same rows as inputs: the encoder is the identity."""
    return InputTable(table.features.pooled, table.starts)


@pytest.mark.parametrize("key", ["image", "text"])
def test_inputs_and_features_may_be_kept_side_by_side(key: str) -> None:
    dataset, readers, kept = planted()
    other = ({"image", "text"} - {key}).pop()
    mixed = CachedSplit({other: kept.tables[other]}, kept.index, {key: inputs_of(kept.tables[key])})
    assert mixed.covers(readers)
    order = Order(seed=3, size=5, batch_size=2)
    found = itertools.islice(kept_training_batches(mixed, dataset, readers, order), 12)
    for a, b in zip(found, training_batches(dataset, readers, order, workers=0), strict=False):
        assert list(a.inputs) == [key]
        assert list(a.features) == [other]
        assert list(a.present) == list(b.present)
        torch.testing.assert_close(a.inputs[key], b.inputs[key], rtol=0, atol=0)
        torch.testing.assert_close(a.features[other].pooled, b.inputs[other], rtol=0, atol=0)
    evaluated = kept_evaluation_batches(mixed, dataset, [key], 2)
    read = evaluation_batches(dataset, {key: readers[key]}, 2)
    for a, b in zip(evaluated, read, strict=True):
        assert a.index.tolist() == b.index.tolist()
        assert a.present[key].tolist() == b.present[key].tolist()
        torch.testing.assert_close(a.inputs[key], b.inputs[key], rtol=0, atol=0)


@pytest.mark.parametrize("is_multi_label", [False, True])
def test_kept_batches_are_those_that_would_be_read(is_multi_label: bool) -> None:
    dataset, readers, kept = planted()
    dataset.is_multi_label = is_multi_label
    order = Order(seed=3, size=5, batch_size=2)
    read = itertools.islice(training_batches(dataset, readers, order, workers=0), 12)
    found = itertools.islice(kept_training_batches(kept, dataset, readers, order), 12)
    for a, b in zip(found, read, strict=True):
        same(a, b)
    evaluated = kept_equal_batches(kept, dataset, readers, 2)
    for a, b in zip(evaluated, equal_batches(dataset, readers, 2), strict=True):
        same(a, b)


def test_one_encoder_may_be_kept_and_another_read() -> None:
    dataset, readers, kept = planted()
    order = Order(seed=5, size=5, batch_size=5)
    for key in readers:
        tables = {key: kept.tables[key]}
        mixed = next(training_batches(dataset, readers, order, workers=0, tables=tables))
        read = next(training_batches(dataset, readers, order, workers=0))
        torch.testing.assert_close(mixed.features[key].pooled, read.inputs[key], rtol=0, atol=0)
        assert list(mixed.present) == list(read.present)
        for other in readers.keys() - {key}:
            torch.testing.assert_close(mixed.inputs[other], read.inputs[other], rtol=0, atol=0)


def test_a_loss_that_asks_for_inputs_that_were_not_read_is_told_why() -> None:
    dataset, readers, kept = planted()
    (batch,) = kept_equal_batches(kept, dataset, readers, 5)
    for asked in (batch, batch.map(lambda x: x.clone())):
        with pytest.raises(PluginError, match=r"encoders\.image(.|\n)*`reads_inputs`"):
            asked.inputs["image"]


def test_only_what_has_a_table_for_every_encoder_is_covered() -> None:
    _, readers, kept = planted()
    assert kept.covers(readers)
    assert not CachedSplit({"image": kept.tables["image"]}, kept.index).covers(readers)
    assert not CachedSplit().covers([])
