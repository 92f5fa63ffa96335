"""`mmlab plugins check`: whether installed components keep their contracts."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import click

from mmlab.cli.output import color_option, console, json_option, print_json, verbosity_options
from mmlab.errors import PluginError, UsageError, explain

if TYPE_CHECKING:
    from mmlab.plan.registry import ComponentEntry, Registry


@click.command("check")
@click.argument("name")
@click.option("--set", "given", multiple=True, metavar="KEY=VALUE", help="An option, as TOML.")
@json_option
@color_option
@verbosity_options
def check(name: str, given: Sequence[str], as_json: bool) -> None:
    """Check that a component, or all components of a distribution, keep their contracts.

    NAME is of a distribution or of a component. Every claim is tried, and each that fails is told
    with what mends it; then the exit code is 4. A component that needs options is checked where
    they are given.

    \b
    Examples:
      mmlab plugins check my-fusion
      mmlab plugins check csv_pairs --set 'path="pairs.csv"'
    """
    registry, options = _discover(), _options(given)
    rows = [_check(registry, entry, options) for entry in _named(registry, name)]
    if as_json:
        print_json(components=rows)
    else:
        _print(rows)
    failed = sum(not claim["holds"] for row in rows for claim in _claims(row))
    unchecked = [row["name"] for row in rows if row["reason"]]
    if failed or len(unchecked) == len(rows):
        fault = f"claims that do not hold: {failed}" if failed else "nothing could be checked"
        raise PluginError(
            explain(
                f"plugins check {name}",
                fault,
                found=", ".join(map(str, unchecked)) or f"{len(rows)} components",
                allowed="components whose every claim holds",
                next_step="mend what is told above; mmlab.testing has the same checks for pytest",
            )
        )


def _discover() -> Registry:
    from mmlab.plan.registry import BUILTINS, Registry

    return Registry.discover(BUILTINS)


def _named(registry: Registry, name: str) -> list[ComponentEntry]:
    """The components of a distribution or name that can be checked."""
    from mmlab.testing.installed import CLAIMS

    failures = [one for one in registry.failures if one.distribution == name]
    if failures:
        raise PluginError(
            explain(
                f"plugins check {name}",
                "the plugin cannot be loaded",
                found=failures[0].reason,
                allowed="a plugin whose module imports",
                next_step="mend it: `mmlab plugins list` tells the reason",
            )
        )
    entries = [entry for entry in registry.entries() if name in (entry.distribution, entry.name)]
    checked = [entry for entry in entries if entry.kind in CLAIMS]
    if checked:
        return checked
    raise UsageError(
        explain(
            "plugins check",
            "components of this kind have no check" if entries else "nothing has this name",
            found=repr(name),
            allowed=f"a distribution or component of the kinds {', '.join(CLAIMS)}",
            next_step="mmlab plugins list",
        )
    )


def _options(given: Sequence[str]) -> dict[str, object]:
    """Options from KEY=VALUE, the value as TOML writes it."""
    options: dict[str, object] = {}
    for text in given:
        try:
            options |= tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(
                explain(
                    "plugins check --set",
                    f"is no option: {error}",
                    found=text,
                    allowed="KEY=VALUE, the value as TOML has it: 'path=\"a.csv\"', 'dim=4'",
                    next_step="put texts in quotes",
                )
            ) from None
    return options


def _check(
    registry: Registry, entry: ComponentEntry, options: Mapping[str, object]
) -> dict[str, object]:
    """A component's row: its claims, whether each holds, and why one does not."""
    from mmlab.testing.claims import failures
    from mmlab.testing.installed import claims_of, missing_options

    row: dict[str, object] = {"kind": entry.kind, "name": entry.name, "claims": [], "reason": None}
    factory = registry.resolve(entry.kind, entry.name)
    missing = missing_options(factory, options)
    if missing:
        return {**row, "reason": f"not checked: needs --set {' --set '.join(missing)}"}
    claims = claims_of(entry.kind, factory, options)
    told = {claim.name: _reason(error) for claim, error in failures(claims)}
    return {
        **row,
        "claims": [
            {
                "name": claim.name,
                "says": claim.says,
                "holds": claim.name not in told,
                "reason": told.get(claim.name),
            }
            for claim in claims
        ],
    }


def _claims(row: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    return cast(Sequence[Mapping[str, object]], row["claims"])


def _reason(error: Exception) -> str:
    from mmlab.testing import ContractError

    return str(error) if isinstance(error, ContractError) else f"{type(error).__name__}: {error}"


def _print(rows: Sequence[Mapping[str, object]]) -> None:
    """A line for each component, and what does not hold under it."""
    out = console(pipe_width=100)
    for row in rows:
        claims = _claims(row)
        held = sum(bool(claim["holds"]) for claim in claims)
        verdict = row["reason"] or f"{held} of {len(claims)} claims hold"
        out.print(f"{row['kind']} {row['name']}: {verdict}", markup=False)
        for claim in claims:
            if not claim["holds"]:
                out.print(f"  {claim['name']}: {claim['reason']}", markup=False)
