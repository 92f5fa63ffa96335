"""The conformance check for losses."""

from __future__ import annotations

from collections.abc import Mapping

from mmlab.plugin import Shapes
from mmlab.testing import loss_checks as checks
from mmlab.testing.claims import Claim, require_all
from mmlab.testing.loss_case import LossCase
from mmlab.testing.loss_labels import check_labels
from mmlab.testing.passes import SHAPES
from mmlab.testing.tools import Factory


def check_loss(
    factory: Factory,
    *,
    shapes: Shapes = SHAPES,
    stops_gradient: bool = False,
    expected_failed_checks: Mapping[str, str] | None = None,
    **options: object,
) -> None:
    """Check a loss with these options on random outputs of a model with two encoders.

    `shapes` says what the model is like: encoders "image" and "text", `is_multi_label`, and so on.
    Checked: the option schema; declarations; named scalars of at least float32, "loss" and declared
    ones; a finite gradient for every parameter and for what the loss reads, which in float64 equals
    finite differences; permutation of the batch; a batch of one, which it may refuse; absent inputs
    without a say; unknown labels, none of several and nothing present (finite); data of one label
    and of several, some unknown, unless it is refused when the loss is made; nothing that it is
    given changed in place; no schedule outside its state; very large scores,
    and scores of aligned pairs times 100; bfloat16 outputs; what it does after a step; weights
    through safetensors; ambient randomness only. Of a loss that reads nothing but a similarity,
    that a pair with an absent side is as if it were not there. Of a loss with an option `chunk`,
    that values and gradients are those of all rows at once, to 1e-12 in float64.

    `stops_gradient` says that the loss takes some of what it reads as given, on purpose: then no
    finite difference is taken. `expected_failed_checks` gives the reason for each claim that may
    fail, by its name.
    """
    claims = loss_claims(factory, shapes=shapes, stops_gradient=stops_gradient, **options)
    require_all(claims, expected_failed_checks)


def loss_claims(
    factory: Factory,
    *,
    shapes: Shapes = SHAPES,
    stops_gradient: bool = False,
    **options: object,
) -> list[Claim]:
    """What `check_loss` checks, each claim with a loss of its own."""
    case = LossCase(factory, options, shapes, stops_gradient)
    return [
        Claim("options", "Options are described and valid", lambda: case.resolved),
        Claim(
            "declarations", "`reads` and `views` are known", case.each(checks.check_declarations)
        ),
        Claim(
            "inputs_untouched", "What it is given is only read", case.each(checks.check_untouched)
        ),
        Claim(
            "scalars", "Named finite scalars, declared as metrics", case.each(checks.check_scalars)
        ),
        Claim(
            "resumed",
            "What changes in training is in its state",
            case.each(checks.check_resumed_training),
        ),
        Claim("training_draws", "Randomness is torch's ambient", case.each(checks.check_draws)),
        Claim("state", "Weights survive safetensors", case.each(checks.check_saved)),
        Claim("edges", "Extreme batches give finite numbers", case.each(checks.check_edges)),
        Claim("labels", "Unknown labels say nothing, one or several", case.each(check_labels)),
        Claim("bf16", "bfloat16 outputs give nearly the same", case.each(checks.check_bf16)),
        Claim("gradient_reaches", "What is read gets a gradient", case.each(checks.check_reach)),
        Claim("inputs_named", "Inputs it looks at are named", case.each(checks.check_inputs)),
        Claim(
            "evaluation", "Evaluation neither draws nor changes", case.each(checks.check_evaluated)
        ),
        Claim(
            "order_and_absence", "Order and absence are no news", case.each(checks.check_same_value)
        ),
        Claim(
            "gradients",
            "Gradients are finite differences",
            case.each(checks.check_finite_differences),
        ),
        Claim("chunks", "Blocks of rows add up", case.each(checks.check_chunks)),
        Claim("parameters", "Every parameter is trained", case.each(checks.check_parameters)),
        Claim("after_step", "A step leaves finite parameters", case.each(checks.check_after_step)),
        Claim("gpu", "A GPU gives the same and never waits", case.each(checks.check_on_gpu)),
    ]
