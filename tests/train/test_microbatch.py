"""Encoding in chunks: the gradients of the whole batch, random numbers replayed, less memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
from mmlab_fusions.inner_product import InnerProduct
from support.token_steps import ROWS, WIDTH, Deep, make_batch, make_step
from torch import Tensor, nn

from mmlab.data.order import Order
from mmlab.data.tables import join_rows
from mmlab.errors import SpecError
from mmlab.model.model import Model, Step
from mmlab.plugin import Encode
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer
from mmlab.train.parallel import Chunked, forget_activations


def gradients(step: Step, seed: int = 2) -> dict[str, Tensor]:
    """The total of one pass, and the gradient of every parameter."""
    torch.manual_seed(seed)
    total, _ = step(make_batch(step))
    total.backward()
    found = {name: p.grad for name, p in step.named_parameters() if p.grad is not None}
    assert len(found) == len(list(step.parameters()))
    assert all(bool(x.abs().sum() > 0) for x in found.values())
    return {"total": total.detach(), **found}


def require_same(a: Mapping[str, Tensor], b: Mapping[str, Tensor], tolerance: float) -> None:
    """Equal but for errors of `tolerance` times a tensor's largest number."""
    assert a.keys() == b.keys()
    for name in a:
        allowed = tolerance * max(1.0, float(a[name].abs().max()))
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=allowed)


@pytest.mark.parametrize("rows", [1, 4, 5, ROWS])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_chunks_give_every_gradient_of_the_whole_batch(
    rows: int, dtype: torch.dtype, tolerance: float
) -> None:
    whole, chunked = make_step(dtype=dtype), make_step(dtype=dtype)
    chunked.encode = Chunked(chunked.model.encode, rows)
    require_same(gradients(whole), gradients(chunked), tolerance)


def test_the_second_pass_draws_the_random_numbers_of_the_first() -> None:
    kept, replayed = make_step(dropout=0.5), make_step(dropout=0.5)
    kept.encode = lambda key, x: join_rows([kept.model.encode(key, rows) for rows in x.split(4)])
    replayed.encode = Chunked(replayed.model.encode, 4)
    expected = gradients(kept)
    require_same(expected, gradients(replayed), 1e-12)
    other = gradients(make_step(dropout=0.5), seed=3)
    assert abs(other["total"] - expected["total"]) > 1e-6, "the masks must matter"


def test_chunks_keep_the_activations_of_one_chunk_only() -> None:
    step = make_step()
    x = make_batch(step).inputs["text"]
    whole, chunked = step.model.encode, Chunked(step.model.encode, 1)
    assert saved_elements(chunked, x) < saved_elements(whole, x) / 3


def saved_elements(encode: Encode, x: Tensor) -> int:
    """How many numbers an encoding leaves for its backward pass, its inputs and weights aside."""
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if not tensor.is_leaf:
            saved[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        features = encode("text", x)
    assert features.pooled.requires_grad
    return sum(saved.values())


def test_a_frozen_encoder_is_encoded_in_chunks_without_a_gradient() -> None:
    model = Model({"text": Deep()}, InnerProduct([6, 6]), ["text"], frozen=frozenset({"text"}))
    features = Chunked(model.encode, 4)("text", torch.randn(ROWS, 3, WIDTH))
    assert not features.pooled.requires_grad


def test_training_encodes_in_chunks_and_leaves_the_weights_of_training_at_once() -> None:
    left = []
    for microbatch in (None, 3):
        step = make_step()
        table = TrainTable(max_steps=3, batch_size=ROWS, microbatch=microbatch, lr=0.01)
        trainer = Trainer(step, table, Order(0, ROWS, ROWS), torch.device("cpu"))
        for index in range(3):
            trainer.update(make_batch(step), index)
        left.append(step.state_dict())
    require_same(*left, 1e-12)


def test_batch_norm_is_refused_by_its_name_unless_it_is_frozen() -> None:
    table = TrainTable(max_steps=1, batch_size=ROWS, microbatch=4)
    order, device = Order(0, ROWS, ROWS), torch.device("cpu")
    with pytest.raises(SpecError, match=r"train.microbatch\n.*BatchNorm1d 'norm'"):
        Trainer(make_step(norm=nn.BatchNorm1d(8)), table, order, device)
    step = make_step(norm=nn.BatchNorm1d(8))
    model = Model(
        dict(step.model.encoders.items()),
        step.model.fusion,
        ["image", "text"],
        frozen=frozenset({"text"}),
    )
    Trainer(Step(model, {}, {}), table, order, device)


class Tall(Deep):
    """An encoder that names its stages."""

    def stages(self) -> Sequence[nn.Module]:
        return [self.first, self.dropout, self.norm, self.second]


@pytest.mark.parametrize("factory", [Deep, Tall])
@pytest.mark.parametrize("microbatch", [None, 4])
def test_activations_that_are_made_anew_give_the_same_gradients(
    factory: type[Deep], microbatch: int | None
) -> None:
    found = []
    for checkpoints in (False, True):
        step = make_step(dropout=0.5, factory=factory)
        table = TrainTable(
            max_steps=1, batch_size=ROWS, microbatch=microbatch, checkpoint_activations=checkpoints
        )
        Trainer(step, table, Order(0, ROWS, ROWS), torch.device("cpu"))
        found.append(gradients(step))
    require_same(*found, 1e-12)


def test_activations_that_are_made_anew_are_not_kept() -> None:
    step, x = make_step(factory=Tall), make_batch(make_step()).inputs["text"]
    before = saved_elements(step.model.encode, x)
    forget_activations(step.model.encoders["text"])
    assert saved_elements(step.model.encode, x) < before
