"""How much of some texts the text encoders of a spec read, before anything is trained."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from torch import nn

from mmlab.data.facts import TextLengths
from mmlab.data.order import random_scope
from mmlab.data.reader import is_cut
from mmlab.errors import MmlabError, message_of
from mmlab.hashing import digest
from mmlab.model.components import encoder_key, make_encoder
from mmlab.plan.plan import Plan
from mmlab.plan.resolve import plan_specs
from mmlab.plugin import Encoder, Fitted, Measured
from mmlab.spec import Override

#: What making an encoder raises where its weights, its files or its libraries are not there.
NOT_MADE = (MmlabError, OSError, ValueError, RuntimeError, ImportError)


def measure_texts(
    path: Path,
    overrides: Sequence[Override],
    cells: Collection[int],
    texts: Mapping[str, Sequence[str]],
) -> list[TextLengths]:
    """What each encoder of some cells of a spec reads of texts, given by modality; each once.

    Encoders are made as a run makes them, and fitted to these texts where they learn words. Raises
    SpecError or PluginError where the spec names something that is not there.
    """
    plans = [plan for plan in plan_specs([path], overrides) if plan.cell.index in cells]
    return [*_measure_each(plans, texts)]


def _measure_each(
    plans: Sequence[Plan], texts: Mapping[str, Sequence[str]]
) -> Iterator[TextLengths]:
    known: set[tuple[str, str]] = set()
    for plan in plans:
        for key, resolved in plan.encoders.items():
            found = texts.get(plan.modality(key))
            asked = key, digest(resolved.locality())
            if found and asked not in known:
                known.add(asked)
                yield _measure(plan, key, found)


def _measure(plan: Plan, key: str, texts: Sequence[str]) -> TextLengths:
    named = key, plan.encoders[key].entry.name, plan.modality(key), len(texts)
    try:
        with random_scope(plan.cell.seed, "build"):
            encoder = make_encoder(plan, key)
        _fit(encoder, texts, plan, key)
        if isinstance(encoder, Measured):
            counts = [encoder.count_ids(text) for text in texts]
            cut = sum(count > encoder.length for count in counts)
            return TextLengths(*named, cut, encoder.length, max(counts))
        return TextLengths(*named, sum(is_cut(cast(Encoder, encoder), text) for text in texts))
    except NOT_MADE as error:
        return TextLengths(
            *named, error=" ".join(message_of(error).split()) or type(error).__name__
        )


def _fit(encoder: nn.Module, texts: Sequence[str], plan: Plan, key: str) -> None:
    if isinstance(encoder, Fitted):
        with random_scope(plan.cell.seed, "fit", encoder_key(key)):
            encoder.fit(texts)
