"""Encoding in chunks: the gradients of the whole batch, random numbers replayed, less memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
import torch.nn.functional as F
from mmlab_fusions.inner_product import InnerProduct
from mmlab_losses.info_nce import InfoNCE
from torch import Tensor, nn

from mmlab.encoding import Chunked, forget_activations
from mmlab.errors import SpecError
from mmlab.feature_rows import join_rows
from mmlab.loader import Order
from mmlab.model import Model, Step
from mmlab.plugin import Batch, Encode, Features, Outputs, Shapes
from mmlab.spec import TrainTable
from mmlab.train import Trainer

ROWS = 12
WIDTH = 5
SHAPES = Shapes({"image": 6, "text": 6}, None, (), (), False, {})


class Deep(nn.Module):
    """An encoder of (B, N, WIDTH): tokens, their mean, and a mask; dropout in between."""

    preprocessing = "deep"
    dim = token_dim = 6

    def __init__(self, dropout: float = 0.0, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, 8)
        self.dropout = nn.Dropout(dropout)
        self.norm = norm or nn.Identity()
        self.second = nn.Linear(8, self.dim)

    def forward(self, x: Tensor) -> Features:
        hidden = self.dropout(torch.tanh(self.first(x)))
        tokens = self.second(self.norm(hidden.transpose(1, 2)).transpose(1, 2))
        return Features.of(tokens.mean(1), tokens, x[..., 0] > 0)


class Steady(nn.Module):
    """An auxiliary loss: the features of 7 samples and of their noisy mirror images are alike."""

    reads = frozenset({"features", "tokens"})
    views = 0

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        x, plain = batch.inputs["text"][:7].flip(-1), outputs.features["text"]
        mirrored = encode("text", x + 0.1 * torch.randn_like(x))
        assert plain.tokens is not None
        assert mirrored.tokens is not None
        assert mirrored.mask is not None
        tokens = (plain.tokens[:7] - mirrored.tokens).square() * mirrored.mask.unsqueeze(-1)
        return {"loss": F.mse_loss(plain.pooled[:7], mirrored.pooled) + tokens.mean()}


def make_step(
    dropout: float = 0.0,
    norm: nn.Module | None = None,
    dtype: torch.dtype = torch.float64,
    factory: type[Deep] = Deep,
) -> Step:
    """Two encoders, a fusion with projections, and two losses."""
    torch.manual_seed(0)
    encoders = {"image": factory(dropout), "text": factory(dropout, norm)}
    model = Model(encoders, InnerProduct([6, 6], dim=4), ["image", "text"])
    losses = {"info_nce": InfoNCE(SHAPES), "steady": Steady()}
    return Step(model, losses, {"info_nce": 1.0, "steady": 0.3}).to(dtype)


def make_batch(step: Step) -> Batch:
    """Random inputs, some of them absent."""
    dtype = next(step.parameters()).dtype
    generator = torch.Generator().manual_seed(1)
    x = {
        key: torch.randn(ROWS, 3, WIDTH, generator=generator).to(dtype) for key in ("image", "text")
    }
    present = {key: torch.arange(ROWS) % 5 != 2 for key in x}
    return Batch(x, present, torch.zeros(ROWS), torch.arange(ROWS), {})


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
