"""Claims one by one: as tests of pytest, and from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from support.strange import install
from torch import Tensor, nn

from mmlab.cli import main
from mmlab.plugin import Features
from mmlab.testing import Claim, ContractError, fusion_claims, parametrize_with_claims
from mmlab.testing.claims import failures


class Sum(nn.Module):
    """The sum of vectors, absent ones left out."""

    reads = frozenset({"pooled"})
    prompts = "features"

    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        self.dim = 4
        self.maps = nn.ModuleList(nn.Linear(width, 4, bias=False) for width in dims)

    def project(self, position: int, features: Features) -> Features:
        kept = features.pooled.masked_fill(~features.present.unsqueeze(-1), 0)
        return Features(self.maps[position](kept), None, None, features.present)

    def fuse(self, *features: Features) -> Tensor:
        total: Tensor = sum((f.pooled for f in features[1:]), features[0].pooled)
        return total


class Twofold(Sum):
    """Breaks two claims at once."""

    def fuse(self, *features: Features) -> Tensor:
        with torch.no_grad():
            features[0].pooled.add_(1)
        return super().fuse(*features) + torch.randn(())


@parametrize_with_claims(
    fusion_claims(Sum), expected_failed_checks=dict.fromkeys(["inputs_untouched"], "a trial")
)
def test_claims(claim: Claim, request: pytest.FixtureRequest) -> None:
    assert request.node.name == f"test_claims[{claim.name}]"
    if claim.name == "inputs_untouched":
        raise ContractError("expected")
    claim.require()


def test_all_failures_are_told_at_once() -> None:
    names = {claim.name for claim, _ in failures(fusion_claims(Twofold))}
    assert {"inputs_untouched", "evaluation"} <= names
    assert "shapes" not in names


def test_an_expected_failure_must_name_a_claim() -> None:
    with pytest.raises(ContractError, match="no claim is called 'speed'"):
        parametrize_with_claims(fusion_claims(Sum), {"speed": "slow"})


def plant(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with a fusion of its own and one that needs an option."""
    package = site / "planted_sum"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from mmlab.plugin import hookimpl\n\n@hookimpl\ndef mmlab_fusions():\n"
        "    return {'planted': 'planted_sum.sums:Planted', 'needy': 'planted_sum.sums:Needy'}\n"
    )
    (package / "sums.py").write_text(
        "from typing import Annotated\nfrom pydantic import Field\n"
        "from mmlab.plugin import Features\nfrom torch import nn\n\n"
        "class Planted(nn.Module):\n"
        "    reads, prompts, dim = frozenset({'pooled'}), 'features', 4\n"
        "    def __init__(self, dims):\n        super().__init__()\n"
        "        self.maps = nn.ModuleList(nn.Linear(w, 4, bias=False) for w in dims)\n"
        "    def project(self, position, features):\n"
        "        kept = features.pooled * features.present.unsqueeze(-1)\n"
        "        return Features(self.maps[position](kept), None, None, features.present)\n"
        "    def fuse(self, *features):\n        return sum(f.pooled for f in features)\n\n"
        "class Needy(Planted):\n"
        "    def __init__(self, dims, *, size: Annotated[int, Field(description='a size')]):\n"
        "        super().__init__(dims)\n"
    )
    about = site / "planted_sum-2.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: planted-sum\nVersion: 2.0\n")
    (about / "entry_points.txt").write_text("[mmlab]\nplanted = planted_sum\n")
    monkeypatch.syspath_prepend(str(site))


def test_a_distribution_is_checked_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, monkeypatch)
    result = CliRunner().invoke(main, ["plugins", "check", "planted-sum", "--json"])
    assert result.exit_code == 4
    needy, planted = json.loads(result.stdout)["components"]
    assert needy["reason"] == "not checked: needs --set size"
    failed = {claim["name"]: claim["reason"] for claim in planted["claims"] if not claim["holds"]}
    assert list(failed) == ["absent_values"]
    assert "masked_fill" in failed["absent_values"]
    assert "claims that do not hold: 1" in result.stderr
    shown = CliRunner().invoke(main, ["plugins", "check", "planted"])
    assert shown.exit_code == 4
    assert "fusion planted: 20 of 21 claims hold" in shown.stdout
    assert "mend: `x.masked_fill(" in shown.stdout
    sys.modules.pop("planted_sum", None)


def test_a_sound_component_is_told_to_be_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, tmp_path / "site")
    result = CliRunner().invoke(main, ["plugins", "check", "product"])
    assert result.exit_code == 0, result.output
    assert "claims hold" in result.stdout
    unknown = CliRunner().invoke(main, ["plugins", "check", "nothing"])
    assert unknown.exit_code == 2
    assert "nothing has this name" in unknown.stderr
