"""What a group of runs cost, from the summaries that the store keeps of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# JSON of the store: whatever a summary holds.
Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Costs:
    """Parameters and operations of fusion and head, encoders aside; None where not recorded.

    `flops` are those of one sample's forward pass. `gap` is the share by which `parameters` miss
    the matched `budget`, below 0 where they stay under it; `width` is the option that was set.
    """

    parameters: int | None
    flops: int | None
    samples_per_second: float | None
    budget: int | None
    gap: float | None
    width: str | None


def costs_of(summaries: Sequence[Summary]) -> Costs:
    """Of the runs of one group: they are built alike, and differ in their speed alone."""
    first = summaries[0]
    match = first.get("match") or {}
    budget, matched = match.get("budget"), match.get("parameters")
    rates = [s["samples_per_second"] for s in summaries if s.get("samples_per_second") is not None]
    return Costs(
        parameters=_joint(first.get("parameters_by_part")),
        flops=_joint(first.get("flops_per_sample")),
        samples_per_second=statistics.median(rates) if rates else None,
        budget=budget,
        gap=matched / budget - 1 if budget and matched is not None else None,
        width=f"{match['option']} = {match['value']}" if match.get("option") else None,
    )


def _joint(parts: Mapping[str, int] | None) -> int | None:
    """The sum over fusion and head."""
    return None if parts is None else parts["fusion"] + parts["head"]


def read_summaries(texts: Iterable[str]) -> list[Summary]:
    """Summaries from the store's JSON."""
    return [json.loads(text) for text in texts]
