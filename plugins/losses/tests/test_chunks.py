"""Blocks of rows: the same values as all at once, and memory that grows with the block."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmlab_losses.cloob import CLOOB
from mmlab_losses.decoupled import Decoupled
from mmlab_losses.info_loob import InfoLOOB
from mmlab_losses.info_nce import InfoNCE
from mmlab_losses.sigmoid import Sigmoid
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmlab.plugin import Batch, Features, Outputs, Scores, Shapes

SIZE, WIDTH, CHUNK = 96, 4, 16

#: Every loss on a similarity, with the options that read more of it.
LOSSES: list[Callable[[Shapes, int | None], Any]] = [
    lambda shapes, chunk: InfoNCE(shapes, chunk=chunk),
    lambda shapes, chunk: InfoNCE(
        shapes, chunk=chunk, positives="labels", hardness=0.5, label_smoothing=0.1
    ),
    lambda shapes, chunk: InfoNCE(shapes, chunk=chunk, alike="v"),
    lambda shapes, chunk: Sigmoid(shapes, chunk=chunk),
    lambda shapes, chunk: Decoupled(shapes, chunk=chunk, sigma=0.5),
    lambda shapes, chunk: InfoLOOB(shapes, chunk=chunk),
    lambda shapes, chunk: CLOOB(chunk=chunk),
]


class Cosines:
    """Cosines of given vectors, a block at a time."""

    def __init__(self, u: Tensor, v: Tensor) -> None:
        self.size = len(u)
        self.present = torch.arange(len(u)) % 7 != 3
        self.sides = {"u": Features.of(u), "v": Features.of(v)}

    def block(self, start: int, stop: int) -> Scores:
        u, v = (F.normalize(side.pooled, dim=1) for side in self.sides.values())
        return Scores(u[start:stop] @ v.T, 0.5 * u[start:stop] @ v.T)


class Largest(TorchDispatchMode):
    """Elements of the largest tensor that any operation gives."""

    elements = 0

    def __torch_dispatch__(  # type: ignore[no-untyped-def]  # torch's own types are Any here
        self, function, types, args=(), kwargs=None
    ):
        result = function(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple | list) else [result]
        sizes = [x.numel() for x in results if isinstance(x, Tensor)]
        self.elements = max([self.elements, *sizes])
        return result


def passed(loss: Any, u: Tensor, v: Tensor) -> Tensor:
    """The loss of the vectors' cosines, after its gradient."""
    batch = Batch({}, {}, torch.arange(len(u)) % 5, torch.arange(len(u)), {})
    similarity = Cosines(u, v)
    outputs = Outputs(similarity.sides, None, None, similarity)  # type: ignore[arg-type]
    value: Tensor = loss(outputs, batch, lambda key, x: Features.of(x))["loss"]
    value.backward()
    return value


def vectors() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = torch.randn(2, SIZE, WIDTH, dtype=torch.float64, generator=generator)
    return made[0].requires_grad_(), made[1].requires_grad_()


@pytest.mark.parametrize("make", LOSSES)
@pytest.mark.parametrize("chunk", [7, 16, 96])
def test_blocks_give_the_values_and_gradients_of_all_rows(
    make: Callable[..., Any], chunk: int, shapes: Shapes
) -> None:
    dense, blocks = make(shapes, None).double(), make(shapes, chunk).double()
    first, second = vectors(), vectors()
    torch.testing.assert_close(
        passed(dense, *first), passed(blocks, *second), rtol=1e-12, atol=1e-12
    )
    for a, b in zip([*first, *dense.parameters()], [*second, *blocks.parameters()], strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", LOSSES)
def test_no_tensor_is_larger_than_a_block(make: Callable[..., Any], shapes: Shapes) -> None:
    """Of all that is made on the way to the gradients, kept or not."""
    sizes = {}
    for chunk in (None, CHUNK):
        with Largest() as largest:
            passed(make(shapes, chunk).double(), *vectors())
        sizes[chunk] = largest.elements
    assert sizes[None] == SIZE * SIZE
    assert sizes[CHUNK] == CHUNK * SIZE


@pytest.mark.parametrize("make", LOSSES)
def test_nothing_of_a_block_is_kept_for_the_gradient(
    make: Callable[..., Any], shapes: Shapes
) -> None:
    kept: list[int] = []

    def note(x: Tensor) -> Tensor:
        kept.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        passed(make(shapes, CHUNK).double(), *vectors())
    assert kept
    assert max(kept) < CHUNK * SIZE
