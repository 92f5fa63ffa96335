"""One pytest test for each claim of a contract, failures that are expected declared as such."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmlab.testing.claims import Claim, require_known
from mmlab.testing.tools import ContractError

if TYPE_CHECKING:
    import pytest


def parametrize_with_claims(
    claims: Sequence[Claim], expected_failed_checks: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """A test for each claim, named as it is, so that all failures are told at once.

        @parametrize_with_claims(fusion_claims(Gate, dims=(8, 6)))
        def test_gate(claim: Claim) -> None:
            claim.require()

    `expected_failed_checks` gives by a claim's name the reason why it fails: the test is then a
    strict xfail, so that one that holds is told. As scikit-learn's `parametrize_with_checks`.
    """
    import pytest  # only tests need it

    expected = expected_failed_checks or {}
    require_known(claims, expected)
    return pytest.mark.parametrize("claim", [_case(claim, expected) for claim in claims])


def _case(claim: Claim, expected: Mapping[str, str]) -> Any:  # Any: pytest's type is private
    import pytest

    param: Callable[..., Any] = pytest.param
    if claim.name not in expected:
        return param(claim, id=claim.name)
    reason = expected[claim.name]
    mark = pytest.mark.xfail(raises=ContractError, reason=reason, strict=True)
    return param(claim, id=claim.name, marks=mark)
