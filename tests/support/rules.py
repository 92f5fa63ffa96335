"""Optimisers and schedules of mmlab with options of a spec, for trainers that no spec describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmlab.plan.component import Resolved
from mmlab.plan.options import check_options
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.train.rule import Make, UpdateRule

OPTIMIZERS = tuple(BUILTINS["optimizer"])
SCHEDULES = tuple(BUILTINS["schedule"])


def maker(kind: str, use: str, options: Mapping[str, Any]) -> Make:
    """What a plan has for a component of mmlab."""
    registry = Registry.discover(BUILTINS)
    factory = registry.resolve(kind, use)
    checked, faults = check_options(kind, use, factory, options)
    assert not faults
    return Resolved(registry.entry(kind, use), factory, checked).make


def rule(optimizer: str = "adamw", schedule: str = "cosine", **options: object) -> UpdateRule:
    """The rule of an optimiser with options, and a schedule."""
    return UpdateRule(maker("optimizer", optimizer, options), maker("schedule", schedule, {}))
