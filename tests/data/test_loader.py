"""The order and the randomness of training, and what stands in for missing inputs."""

from __future__ import annotations

import io
import itertools
import sys

import pytest
import torch
from support.planted import Points, Vector, pairs
from torch import Tensor

from mmlab.data.loader import equal_batches, evaluation_batches, training_batches
from mmlab.data.order import Order
from mmlab.data.reader import Reader, make_readers
from mmlab.errors import DataError
from mmlab.plugin import Batch, Vocabulary

MODALITIES = {"image": "image", "text": "text"}


def readers(dataset: Points, noise: float = 0.0) -> dict[str, Reader]:
    encoders = {"image": Vector(noise=noise), "text": Vector()}
    return make_readers(dataset, encoders, MODALITIES)


def take(dataset: Points, order: Order, count: int, workers: int = 0) -> list[Batch]:
    stream = training_batches(dataset, readers(dataset, noise=1.0), order, workers=workers)
    return list(itertools.islice(stream, count))


def test_every_epoch_sees_each_sample_once_in_another_order() -> None:
    batches = take(pairs(8), Order(seed=0, size=8, batch_size=4), 4)
    epochs = [torch.cat([b.index for b in batches[i : i + 2]]).tolist() for i in (0, 2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(8))
    assert epochs[0] != epochs[1]


def test_every_epoch_draws_other_noise_for_a_sample_and_the_same_when_it_comes_again() -> None:
    dataset, order = pairs(4), Order(seed=0, size=4, batch_size=4)
    exact = torch.tensor([row["image"] for row in dataset.rows])
    first, second, again = (
        batch.inputs["image"][batch.index.argsort()] - exact
        for batch in (*take(dataset, order, 2), take(dataset, order, 1)[0])
    )
    assert not (first == second).any()
    assert len({*first.flatten().tolist()}) == first.numel(), "no sample has another's noise"
    assert torch.equal(first, again)


@pytest.mark.slow
def test_order_and_noise_do_not_depend_on_the_number_of_workers() -> None:
    order = Order(seed=3, size=10, batch_size=4)
    alone, helped = take(pairs(10), order, 5), take(pairs(10), order, 5, workers=2)
    for a, b in zip(alone, helped, strict=True):
        torch.testing.assert_close(a.inputs["image"], b.inputs["image"], rtol=0, atol=0)
        assert a.index.tolist() == b.index.tolist()


class Talkative(Vector):
    """Says something about every value, as readers of pictures do."""

    def transform(self, raw: object, train: bool) -> Tensor:
        print("a palette of transparent colours", file=sys.stderr)
        return super().transform(raw, train)


class Bar(io.StringIO):
    """A stream that a thread of the main process holds while it draws."""

    def write(self, text: str) -> int:
        raise AssertionError("a worker would wait for ever")


def test_what_workers_say_does_not_wait_for_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = pairs(4)
    made = make_readers(dataset, {"image": Talkative()}, {"image": "image"})
    monkeypatch.setattr(sys, "stderr", Bar())
    monkeypatch.setattr(sys, "stdout", Bar())
    batch = next(training_batches(dataset, made, Order(0, 4, 4), workers=1))
    assert sorted(batch.index.tolist()) == [0, 1, 2, 3]


def test_starting_at_a_later_step_gives_the_later_batches() -> None:
    dataset = pairs(9)
    whole = take(dataset, Order(seed=1, size=9, batch_size=2), 7)
    rest = take(dataset, Order(seed=1, size=9, batch_size=2, first_step=3), 4)
    for a, b in zip(whole[3:], rest, strict=True):
        torch.testing.assert_close(a.inputs["image"], b.inputs["image"], rtol=0, atol=0)


def test_another_seed_gives_another_order() -> None:
    first, second = (take(pairs(16), Order(seed, 16, 16), 1)[0].index.tolist() for seed in (0, 1))
    assert first != second


def test_a_missing_input_becomes_a_placeholder_that_is_marked_absent() -> None:
    dataset = Points(
        rows=[{"image": [1.0, 2.0]}, {"image": [3.0, 4.0], "text": [5.0, 6.0]}],
        targets=[(0,), (1,)],
    )
    (batch,) = evaluation_batches(dataset, readers(dataset), 2)
    assert batch.present["text"].tolist() == [False, True]
    assert batch.inputs["text"].tolist() == [[0.0, 0.0], [5.0, 6.0]]


def test_a_modality_that_no_sample_has_is_an_error_that_names_those_there_are() -> None:
    dataset = Points(rows=[{"image": [1.0, 2.0]}], targets=[(0,)], modalities=("image",))
    with pytest.raises(DataError, match=r"'text'(.|\n)*found: modalities image"):
        readers(dataset)


def test_evaluation_takes_the_first_caption_and_training_draws_one() -> None:
    dataset = Points(rows=[{"text": ("one", "two")}] * 64, targets=[()] * 64, modalities=("text",))
    encoder = Lengths()
    made = make_readers(dataset, {"text": encoder}, {"text": "text"})
    (batch,) = evaluation_batches(dataset, made, 64)
    assert set(batch.inputs["text"].tolist()) == {ord("o")}
    drawn = next(training_batches(dataset, made, Order(0, 64, 64), workers=0))
    assert set(drawn.inputs["text"].tolist()) == {ord("o"), ord("t")}


def test_targets_are_minus_one_where_unknown_and_multi_hot_for_multi_label() -> None:
    rows = [{"image": [0.0, 0.0], "text": [0.0, 0.0]}] * 3
    single = Points(rows, targets=[(), (1,), None])
    (batch,) = evaluation_batches(single, readers(single), 3)
    assert batch.target.tolist() == [-1, 1, -1]
    several = Points(rows, targets=[(0, 1), (), None], is_multi_label=True)
    (batch,) = evaluation_batches(several, readers(several), 3)
    assert batch.target[:2].tolist() == [[1.0, 1.0], [0.0, 0.0]]
    assert batch.target[2].isnan().all()


def test_equal_batches_leave_out_the_rest_but_keep_a_small_split_whole() -> None:
    dataset = pairs(10)
    made = readers(dataset)
    assert [len(b.index) for b in equal_batches(dataset, made, 4)] == [4, 4]
    assert [len(b.index) for b in equal_batches(dataset, made, 64)] == [10]


def test_further_views_are_other_draws_of_the_training_transform() -> None:
    dataset = pairs(4)
    stream = training_batches(dataset, readers(dataset, 1.0), Order(0, 4, 4), workers=0, views=2)
    batch = next(stream)
    assert batch.views["image"].shape == (2, 4, 2)
    assert not torch.equal(batch.views["image"][0], batch.views["image"][1])


class Lengths(Vector):
    """Encodes a text as the code of its first letter."""

    def transform(self, raw: object, train: bool) -> torch.Tensor:
        return torch.tensor(ord(str(raw)[0]))


def test_a_text_encoder_that_only_reads_prompts_needs_no_text_of_the_dataset() -> None:
    dataset = Points(rows=[{"image": [1.0, 2.0]}], targets=[(0,)], modalities=("image",))
    encoders = {"image": Vector(), "text": Prompts()}
    made = make_readers(dataset, encoders, MODALITIES, is_trained=False)
    (batch,) = evaluation_batches(dataset, made, 1)
    assert batch.present["text"].tolist() == [False]
    with pytest.raises(DataError, match=r"encoders\.text"):
        make_readers(dataset, encoders, MODALITIES)


class Prompts(Lengths):
    """A text encoder with a vocabulary."""

    vocabulary = Vocabulary(size=256, pad=0, mask=1, special=frozenset({0, 1}))

    def transform(self, raw: object, train: bool) -> torch.Tensor:
        return torch.tensor(len(str(raw)))


def test_validation_makes_the_same_views_every_time_and_others_for_another_seed() -> None:
    dataset = pairs(4)
    made = readers(dataset, 1.0)
    first, again, other = (
        next(equal_batches(dataset, made, 4, views=2, seed=seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first.views["image"], again.views["image"])
    assert not torch.equal(first.views["image"], other.views["image"])
    assert not torch.equal(first.views["image"][0], first.views["image"][1])
    assert torch.equal(first.inputs["image"], other.inputs["image"])
