"""What a head makes of the samples of a split."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmlab.evaluate import faults
from mmlab.evaluate.encoded import Encoded
from mmlab.evaluate.subject import Subject
from mmlab.feature_rows import take_rows

#: Samples fused at a time; a fusion may hold several tensors of its width for each.
_ROWS = 4096


def have_any_input(subject: Subject, encoded: Encoded) -> Tensor:
    """Which samples have at least one of the fusion's inputs, (n,) bool on the host."""
    return torch.stack([encoded.present(key) for key in subject.model.inputs]).any(0)


def predict(subject: Subject, encoded: Encoded, indexes: Sequence[int]) -> Tensor:
    """The head's prediction for some samples, (n, outputs) float32 on the device.

    Raises RunError where a feature is NaN or infinite.
    """
    parts = []
    for start in range(0, len(indexes), _ROWS):
        rows = torch.tensor(indexes[start : start + _ROWS])
        features = {key: take_rows(encoded.features[key], rows) for key in subject.model.inputs}
        for key, each in features.items():
            faults.check_features(each, key)
        with subject.full_precision():
            prediction = subject.model.outputs(features).prediction
        assert prediction is not None, "a model with a head predicts"
        parts.append(prediction.float())
    return torch.cat(parts)
