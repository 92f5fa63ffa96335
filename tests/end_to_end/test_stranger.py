"""A third party's distribution works like one of ours, and nobody had to be told."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from support.strange import SOURCE

from mmlab.testing import check_dataset, check_encoder, check_fusion, check_loss, check_metric


def component(module: str, name: str) -> Any:  # Any: what the module holds
    return getattr(import_module(f"stranger_mmlab.{module}"), name)


@pytest.fixture(autouse=True)
def _is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SOURCE))


def test_the_dataset_keeps_the_contract() -> None:
    check_dataset(component("shapes", "Shapes"), count=9)


@pytest.mark.slow
def test_the_encoder_keeps_the_contract() -> None:
    check_encoder(component("grid", "Grid"), pixels=8, cells=2, dim=4)


@pytest.mark.slow
def test_the_fusion_keeps_the_contract() -> None:
    check_fusion(component("product", "Product"), dims=(4, 3), dim=5)


@pytest.mark.slow
def test_the_loss_keeps_the_contract() -> None:
    check_loss(component("hinge", "Hinge"))


def test_the_metric_keeps_the_contract() -> None:
    check_metric(component("margin", "Margin"))
