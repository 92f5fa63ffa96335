"""Every loss on pretended CUDA tensors: none waits for the device or makes a tensor on the host."""

from __future__ import annotations

import pytest
import torch
from support.loss_models import LOSSES, ROWS, make_batch, make_loss, make_step
from support.pretended_gpu import CUDA, on_gpu
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from mmlab.data.order import Order
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer

pytestmark = pytest.mark.usefixtures("pretended_gpu")


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_no_loss_waits_for_the_gpu_or_mixes_devices(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = make_step({name: make_loss(name)})
    batch = make_batch(is_multi_label=name == "binary_cross_entropy")

    def backward(total: Tensor) -> None:
        assert total.dtype == torch.float32
        for parameter in step.parameters():
            parameter.grad = torch.zeros_like(parameter)

    monkeypatch.setattr(Tensor, "backward", backward)
    with FakeTensorMode():
        table = TrainTable(epochs=1, batch_size=ROWS)
        trainer = Trainer(on_gpu(step), table, Order(0, ROWS, ROWS), CUDA)
        pretended = batch.map(lambda x: torch.empty(x.shape, dtype=x.dtype, device=CUDA))
        for index in range(2):
            trainer.update(pretended, index)
