"""Conformance checks for plugins: what a component must do beyond having the right methods.

Each takes a factory and the options to build it with, and raises ContractError, an AssertionError,
saying what does not hold. A plugin's first test is one call; mmlab's own plugins pass the same:

    def test_gate_keeps_the_contract() -> None:
        check_fusion(Gate, dims=(8, 6), dim=5)

Each has a sibling that gives its claims one by one, for a test each (`parametrize_with_claims`) or
to try them all: `mmlab plugins check NAME` does.

The checks build components several times, on the CPU and, where there is one, on a GPU. They seed
torch's ambient generator as the runner does, and leave every generator as they found it.
"""

from mmlab.testing.claims import Claim as Claim
from mmlab.testing.datasets import check_dataset as check_dataset
from mmlab.testing.datasets import dataset_claims as dataset_claims
from mmlab.testing.encoders import check_encoder as check_encoder
from mmlab.testing.encoders import encoder_claims as encoder_claims
from mmlab.testing.fusions import check_fusion as check_fusion
from mmlab.testing.fusions import fusion_claims as fusion_claims
from mmlab.testing.generators import check_generator as check_generator
from mmlab.testing.losses import check_loss as check_loss
from mmlab.testing.losses import loss_claims as loss_claims
from mmlab.testing.metrics import check_metric as check_metric
from mmlab.testing.pytest_claims import parametrize_with_claims as parametrize_with_claims
from mmlab.testing.tools import ContractError as ContractError

__all__ = [
    "Claim",
    "ContractError",
    "check_dataset",
    "check_encoder",
    "check_fusion",
    "check_generator",
    "check_loss",
    "check_metric",
    "dataset_claims",
    "encoder_claims",
    "fusion_claims",
    "loss_claims",
    "parametrize_with_claims",
]
