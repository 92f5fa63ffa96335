"""Claims of a contract: each a name, what it says, and a check of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from mmlab.errors import MmlabError
from mmlab.testing.tools import ContractError, for_author


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


def require_all(claims: Sequence[Claim]) -> None:
    """Raise ContractError for the first of these claims that does not hold."""
    for claim in claims:
        claim.require()


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
