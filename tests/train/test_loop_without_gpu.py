"""The CUDA path of a training step where there is no GPU: every operation on pretended tensors.

torch's fake tensors have a device and a dtype but no numbers. They refuse what a GPU would refuse,
or would have to wait for: operands on two devices, and a number that Python asks for. The backward
pass needs a real device, so gradients are pretended too; `test_loop.py` has the tests on a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from support.pretended_gpu import CUDA, on_gpu
from support.rules import OPTIMIZERS, rule
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mmlab.data.order import Order
from mmlab.model.heads import Linear
from mmlab.model.model import Model, Step
from mmlab.plan.component import Resolved
from mmlab.plan.options import check_options
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plugin import Batch, Encode, Outputs, Shapes, SimilarityFusion, VectorFusion
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer
from mmlab.train.rule import UpdateRule

pytestmark = pytest.mark.usefixtures("pretended_gpu")

LABELS = ("a", "b", "c")
REGISTRY = Registry.discover(BUILTINS)
FUSIONS = [e.name for e in REGISTRY.entries("fusion") if e.distribution == "mmlab-fusions"]
OPTIONS: dict[str, Mapping[str, object]] = {
    "vit": {"patch_dropout": 0.5, "pool": "class"},
    "inner_product": {"dim": 16},
    "cross_entropy": {"label_weight": "balanced", "label_smoothing": 0.1},
}


class Everything:
    """A context in which all that encoders can give is read."""

    reads = frozenset({"pooled", "tokens"})


class Waiting(nn.Module):
    """A loss that asks the device for a number."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        total = outputs.prediction.float().sum()
        return {"loss": total if total > 0 else -total}


class Elsewhere(nn.Module):
    """A loss that makes a tensor on the host."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        return {"loss": (outputs.prediction * torch.ones(len(LABELS))).sum()}


def make(kind: str, name: str, **given: object) -> Any:  # Any: components differ by kind
    """A component with the options it has here."""
    factory = REGISTRY.resolve(kind, name)
    options, faults = check_options(kind, name, factory, OPTIONS.get(name, {}))
    assert not faults
    return Resolved(REGISTRY.entry(kind, name), factory, options).make(**given)


def make_step(image: str, fusion_name: str) -> Step:
    """A model with all that its fusion can feed, and a loss for each of them."""
    encoders = {
        key: make("encoder", name, modality=key, context=Everything())
        for key, name in (("image", image), ("text", "transformer"))
    }
    dims = [encoder.dim for encoder in encoders.values()]
    token_dims = [encoder.token_dim for encoder in encoders.values()]
    fusion = make("fusion", fusion_name, dims=dims, token_dims=token_dims, outputs=len(LABELS))
    is_vector = isinstance(fusion, VectorFusion)
    scores = isinstance(fusion, SimilarityFusion)
    head = Linear(fusion.dim, len(LABELS)) if is_vector else None
    scorer = None if scores else nn.Linear(fusion.dim, 1, bias=False)
    model = Model(encoders, fusion, ["image", "text"], head=head, scorer=scorer)
    shapes = Shapes({}, getattr(fusion, "dim", None), LABELS, (2, 1, 0), False, {})
    losses = {"pairs": make("loss", "info_nce", shapes=shapes)}
    if is_vector:
        losses["labels"] = make("loss", "cross_entropy", shapes=shapes)
    return Step(model, losses, dict.fromkeys(losses, 1.0))


def make_batch(size: int = 4) -> Batch:
    """A batch on the GPU, of which Python knows no number."""
    inputs = {
        "image": torch.zeros(size, 3, 64, 64, dtype=torch.uint8, device=CUDA),
        "text": torch.zeros(size, 32, dtype=torch.int64, device=CUDA),
    }
    present = {key: torch.ones(size, dtype=torch.bool, device=CUDA) for key in inputs}
    index = torch.arange(size, device=CUDA)
    return Batch(inputs, present, torch.zeros_like(index), index, {})


def update_twice(
    step: Step, monkeypatch: pytest.MonkeyPatch, rule: UpdateRule | None = None
) -> None:
    """Two steps of training, in bf16 as on any GPU, with gradients of zero."""

    def backward(total: Tensor) -> None:
        assert total.dtype == torch.float32
        for parameter in step.parameters():
            parameter.grad = torch.zeros_like(parameter)

    monkeypatch.setattr(Tensor, "backward", backward)
    with FakeTensorMode():
        table = TrainTable(epochs=1, batch_size=4)
        trainer = Trainer(on_gpu(step), table, Order(0, 8, 4), CUDA, rule=rule)
        assert trainer.precision == "bf16"
        for index in range(2):
            trainer.update(make_batch(), index)


def test_there_are_fusions_to_look_at() -> None:
    assert {"inner_product", "concat", "gating"} <= set(FUSIONS)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_no_step_waits_for_the_gpu_or_mixes_devices(
    fusion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    update_twice(make_step("vit", fusion), monkeypatch)


def test_nor_does_one_of_the_convnet(monkeypatch: pytest.MonkeyPatch) -> None:
    update_twice(make_step("convnet", "concat"), monkeypatch)


def test_nor_does_one_of_causal_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"positions": "rotary", "causal": True, "pool": "end"}
    monkeypatch.setitem(OPTIONS, "transformer", options)
    update_twice(make_step("convnet", "inner_product"), monkeypatch)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_nor_does_one_of_any_optimiser(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    update_twice(make_step("convnet", "concat"), monkeypatch, rule(optimizer))


@pytest.mark.parametrize(
    ("loss", "said"), [(Waiting, "_local_scalar_dense"), (Elsewhere, "devices")]
)
def test_a_loss_that_waits_or_stays_on_the_host_is_noticed(
    loss: type[nn.Module], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = make_step("convnet", "concat")
    step.losses = nn.ModuleDict({"pairs": loss()})
    with pytest.raises(RuntimeError, match=said):
        update_twice(step, monkeypatch)
