"""Loaded models for Python: `mmlab.load(run)`, and labels ranked by one, as cards.

A model is that of a finished run, or of a spec whose encoders are pretrained.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mmlab.evaluate.label_results import small_picture
from mmlab.evaluate.ranked import RankedLabels
from mmlab.model.build import BuiltCell
from mmlab.model.device import resolve_device
from mmlab.report.cards import Bar, prompt_parts
from mmlab.report.results import NotebookCard
from mmlab.runner.load import Role, load_run
from mmlab.runner.rank import (
    RankedInputs,
    RankRequest,
    main_input,
    rank_inputs,
    zero_shot_name,
)
from mmlab.runner.untrained import load_spec_model
from mmlab.spec import Override
from mmlab.store import RunDetail

#: What labels are written into where neither a run nor a spec says it.
PLAIN = ("{}",)
Values = Sequence[object]


@dataclass(frozen=True)
class LoadedModel(BuiltCell):
    """The modules of a run or a spec, in eval mode on `device`, which rank labels for inputs.

    `run_id` is None for a spec. `templates` are those of its own zero-shot evaluation, else "{}".
    """

    device: torch.device
    run_id: str | None
    templates: tuple[str, ...]

    def rank(
        self,
        inputs: Values | Mapping[str, Values],
        labels: Sequence[str] | None = None,
        *,
        templates: Sequence[str] | None = None,
        truths: Sequence[str] = (),
        top: int = 5,
        prompts: str | None = None,
        scale: float | None = None,
        pictures: bool = True,
        note: Callable[[str], None] = lambda text: None,
    ) -> list[NotebookCard]:
        """Rank labels for inputs of one's own, as zero-shot does: a card each, nothing is stored.

        `inputs` are pictures, or whatever the model reads instead, each a file's path or a raw
        value (see `Sample`); or a mapping from encoder keys or modalities to as many values of
        each. Without `labels` the model's head ranks its own. A label is written into each of
        `templates`, by default those of the model's own evaluation. `truths` are the true labels,
        one an input, where they are known. A card shows the first `top` labels, and a thumbnail
        if `pictures` are wanted. `prompts` names the encoder that reads the labels, where two
        could, and `scale` what scores are multiplied by before the softmax, where the model has no
        temperature. Raises UsageError, DataError or RunError.

            mmlab.load("first").rank(["guacamole.jpg"], ["guacamole", "ceviche"])
        """
        if not isinstance(inputs, Mapping):
            is_one = isinstance(inputs, (str, os.PathLike)) or not isinstance(inputs, Sequence)
            inputs = {main_input(self): [inputs] if is_one else inputs}
        request = RankRequest(
            inputs=inputs,
            labels=labels,
            templates=tuple(self.templates if templates is None else templates),
            truths=truths,
            top=top,
            prompts=prompts,
            scale=scale,
        )
        found = rank_inputs(self, request, self.device, note)
        return list(_cards(self, found, pictures=pictures))


def load(
    run: str | Path,
    db: str | Path | None = None,
    *,
    device: str = "cpu",
    weights: Role = "best",
    runs: str | Path | None = None,
    overrides: Sequence[Override] = (),
    note: Callable[[str], None] = lambda text: None,
) -> LoadedModel:
    """The modules of a finished run, in eval mode: `.model`, `.readers` for its inputs, `.rank`.

    `run` is an id or its beginning, an experiment's name (its newest run), or "@last"; or the path
    of a spec without [train], ending in .toml, whose encoders are pretrained: `overrides` are set
    in that. `db` is MMLAB_DB or mmlab.db unless given, `runs` the folder of weights, beside the
    database unless given. The plugins of the run must still be installed. Its weights bring all
    that was read of its training data, which need not be there; the data of a run that was not
    trained, and of one whose weights were written before they said so, must be in place. Of a spec
    `note` hears which weights are random, and no data are read unless a head or a loss is made for
    them. Raises UsageError, SpecError, WeightsError, PluginError or DataError.

        experiment = mmlab.load("emoji-contrastive")
        image = experiment.readers["image"].encoder.transform(picture, train=False)
        features = experiment.model.encode("image", image[None])
    """
    if is_spec(run):
        built = load_spec_model(Path(run), overrides, db, device=device, runs=runs, note=note)
        return _loaded(built, None, device)
    built, detail = load_run(str(run), db, device=device, weights=weights, runs=runs)
    return _loaded(built, detail, device)


def is_spec(run: str | Path) -> bool:
    """Whether this is the path of a spec, and not the name of a run."""
    return str(run).lower().endswith(".toml")


def _loaded(built: BuiltCell, detail: RunDetail | None, device: str) -> LoadedModel:
    return LoadedModel(
        built.plan,
        built.step,
        built.readers,
        built.data,
        resolve_device(device),
        None if detail is None else detail.run.run_id,
        _templates(built, detail),
    )


def _templates(built: BuiltCell, detail: RunDetail | None) -> tuple[str, ...]:
    """Those that the model's own zero-shot evaluation asked with, or would by its spec alone."""
    name = zero_shot_name(built)
    if name is None:
        return PLAIN
    if detail is None:
        said = built.plan.evaluators[name].options["templates"]
        return tuple(said) if isinstance(said, Sequence) else PLAIN
    stored = [one.templates for one in detail.evaluations if one.name == name and not one.condition]
    return tuple(stored[-1]) if stored and stored[-1] else PLAIN


def _cards(model: LoadedModel, found: RankedInputs, *, pictures: bool) -> Iterator[NotebookCard]:
    """A card for each sample that labels were ranked for."""
    start = 0
    for block in found.blocks:
        for row in range(len(block.top_label)):
            small = small_picture(found.samples, start + row) if pictures else None
            yield _card(model, found, block, (start, row), small.image if small else None)
        start += len(block.top_label)


def _card(
    model: LoadedModel,
    found: RankedInputs,
    block: RankedLabels,
    place: tuple[int, int],
    picture: bytes | None,
) -> NotebookCard:
    (start, row), labels = place, found.samples.labels
    truths, cell = found.truths[start + row], model.plan.cell
    before, after = prompt_parts(found.samples.templates)
    names = tuple(labels[truth] for truth in truths)
    ids, scores = block.top_label[row].tolist(), block.top_probability[row].tolist()
    bars = [
        Bar(rank, (labels[label],), before, after, score, label in truths)
        for rank, (label, score) in enumerate(zip(ids, scores, strict=True), start=1)
    ]
    rank, probability = int(block.rank[row]), float(block.probability[row])
    if rank > len(bars):
        bars.append(Bar(rank, names, before, after, probability, True, True))
    return NotebookCard(
        run_id=model.run_id or "",
        experiment=cell.experiment,
        cell=cell.label,
        seed=cell.seed,
        evaluation="rank",
        condition="",
        sample=found.samples.name(start + row),
        truths=names,
        rank=rank or None,
        label_count=len(labels),
        probability=probability if truths else None,
        top_probability=scores[0],
        has_tie=bool(block.has_tie[row]),
        bars=tuple(bars),
        picture=picture,
        is_judged=bool(truths),
    )
