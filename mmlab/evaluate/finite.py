"""Scores and features must be finite numbers: NaN and infinity are refused where they enter."""

from __future__ import annotations

import torch
from torch import Tensor

from mmlab.errors import RunError, explain
from mmlab.plugin import Features


def check_numbers(scores: Tensor, name: str) -> None:
    """Raise RunError where a score is NaN or infinite: ranks would look like first places."""
    if not is_finite(scores):
        raise _not_finite(f"evaluate.{name}", "a score", scores)


def check_features(features: Features, key: str) -> None:
    """Raise RunError where an encoder gave a feature that is NaN or infinite.

    A gate or a softmax would make finite scores of it. What is absent or masked means nothing.
    """
    tokens, present = features.tokens, features.present
    if not is_finite(features.pooled) and not is_finite(found := features.pooled[present]):
        raise _not_finite(f"encoders.{key}", "a feature", found)
    if tokens is not None and not is_finite(tokens):
        real = present[..., None].expand(tokens.shape[:-1])
        found = tokens[real if features.mask is None else real & features.mask]
        if not is_finite(found):
            raise _not_finite(f"encoders.{key}", "a feature of a token", found)


def is_finite(x: Tensor) -> bool:
    """Whether no number is NaN or infinite, found in one pass without a second tensor."""
    return x.numel() == 0 or bool(torch.stack(x.aminmax()).isfinite().all())


def _not_finite(place: str, what: str, x: Tensor) -> RunError:
    message = explain(
        place,
        f"{what} is not a finite number",
        found="NaN" if bool(x.isnan().any()) else "infinity",
        allowed="finite numbers",
        next_step="train with a lower train.lr, or evaluate with train.precision = 'fp32'",
    )
    return RunError(message, "nan")
