"""Claims of a contract: each a name, what it says, and a check of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from mmlab.errors import MmlabError
from mmlab.testing.tools import ContractError, for_author, require


@dataclass(frozen=True)
class Claim:
    """One thing that a contract promises. `check` raises ContractError where it does not hold."""

    name: str
    says: str
    check: Callable[[], object]

    def require(self) -> None:
        """Raise ContractError unless the claim holds; an error of mmlab is one in its words."""
        try:
            self.check()
        except MmlabError as error:
            raise ContractError(for_author(str(error))) from error


def require_all(
    claims: Sequence[Claim], expected_failed_checks: Mapping[str, str] | None = None
) -> None:
    """Raise ContractError for the first of these claims that does not hold.

    `expected_failed_checks` gives by a claim's name the reason why it may fail; one that holds all
    the same is told, and so is a name that no claim has.
    """
    expected = expected_failed_checks or {}
    require_known(claims, expected)
    for claim in claims:
        if claim.name in expected:
            _require_failure(claim, expected[claim.name])
        else:
            claim.require()


def require_known(claims: Sequence[Claim], expected: Mapping[str, str]) -> None:
    """Raise ContractError for an expected failure that names no claim, or gives no reason."""
    names = [claim.name for claim in claims]
    for name, reason in expected.items():
        require(name in names, f"no claim is called {name!r}; there are {', '.join(names)}")
        require(bool(reason.strip()), f"the expected failure of {name!r} needs a reason")


def _require_failure(claim: Claim, reason: str) -> None:
    try:
        claim.require()
    except ContractError:
        return
    raise ContractError(
        f"{claim.name} holds, and was expected to fail ({reason}): expect it no more"
    )


def failures(claims: Sequence[Claim]) -> Iterator[tuple[Claim, Exception]]:
    """Every claim that does not hold, and why; one that fails in another way fails as well."""
    for claim in claims:
        try:
            claim.require()
        except Exception as error:  # a component may fail in any way
            yield claim, error


def breach(claim: str, method: str, found: str, remedy: str) -> NoReturn:
    """Raise ContractError: what was promised, where it is broken, what was seen, what mends it."""
    raise ContractError(f"{claim} (`{method}`)\n  found: {found}\n  mend: {remedy}") from None
