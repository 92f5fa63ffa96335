"""Conformance checks for plugins: what a component must do beyond having the right methods.

Each takes a factory and the options to build it with, and raises ContractError, an AssertionError,
saying what does not hold. A plugin's first test is one call; mmlab's own plugins pass the same:

    def test_gate_keeps_the_contract() -> None:
        check_fusion(Gate, dims=(8, 6), dim=5)

The checks build components several times, on the CPU and, where there is one, on a GPU. They seed
torch's ambient generator as the runner does, and leave every generator as they found it.
"""

from mmlab.testing.datasets import check_dataset as check_dataset
from mmlab.testing.encoders import check_encoder as check_encoder
from mmlab.testing.fusions import check_fusion as check_fusion
from mmlab.testing.losses import check_loss as check_loss
from mmlab.testing.metrics import check_metric as check_metric
from mmlab.testing.tools import ContractError as ContractError
