"""A component that writes to what others read ends the run, named, instead of falsifying it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pytest
import torch
from support.small_training import Nearness, make_step, run
from torch import Tensor

from mmlab.errors import PluginError
from mmlab.model.components import Watch, given_tensors
from mmlab.plugin import Batch, Encode, Features, Outputs


class Changes(Nearness):
    """Writes to one of the tensors that it is given."""

    def __init__(self, write: Callable[[Outputs, Batch], object]) -> None:
        super().__init__()
        self.write = write

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        scalars = super().forward(outputs, batch, encode)
        with torch.no_grad():
            self.write(outputs, batch)
        return scalars


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("batch.target", lambda outputs, batch: batch.target.fill_(0)),
        ("batch.inputs['text']", lambda outputs, batch: batch.inputs["text"].add_(1)),
        ("batch.present['image']", lambda outputs, batch: batch.present["image"].fill_(True)),
        (
            "outputs.features['image']",
            lambda outputs, batch: outputs.features["image"].pooled[:, 0].zero_(),
        ),
    ],
)
def test_a_loss_that_changes_what_it_is_given_fails_the_run(
    name: str, write: Callable[[Outputs, Batch], object]
) -> None:
    with pytest.raises(PluginError, match=r"losses\.near: changes in place") as caught:
        run(make_step(Changes(write)))
    assert name in str(caught.value)
    assert "only read: a copy is made first" in str(caught.value)


def test_an_encoder_that_changes_its_input_fails_the_run() -> None:
    step = make_step()
    image = step.model.encoders["image"]
    original = image.forward
    image.forward = lambda x: original(x.mul_(0.5))  # type: ignore[method-assign]
    with pytest.raises(PluginError, match=r"(?s)changes in place .*batch\.inputs\['image'\]"):
        run(step)


def test_watching_a_step_costs_microseconds() -> None:
    x = torch.zeros(4)
    features = {key: Features.of(x, x, x.bool()) for key in ("image", "text")}
    batch = Batch(
        {"image": x, "text": x}, {"image": x, "text": x}, x, x, {"image": x, "text": x}, x
    )
    outputs = Outputs(features, x, x, None)
    took = []
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(50):
            Watch(given_tensors(batch)).require_unchanged("encoder")
            Watch(given_tensors(batch, outputs)).require_unchanged("loss")
        took.append((time.perf_counter() - start) / 50)
    # The smallest step of the suite takes a millisecond; what a model computes takes far longer.
    assert min(took) < 100e-6, f"{min(took) * 1e6:.0f} us a step"
