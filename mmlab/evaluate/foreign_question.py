"""What somebody else's model was asked: the question of an evaluator that ranks labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mmlab.errors import SpecError, explain
from mmlab.evaluate.evaluator import ProtocolQuestion, needs_similarity
from mmlab.evaluate.evaluators.classification import Classification
from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.plugin import Calibration, Dataset


@dataclass(frozen=True)
class ForeignQuestion:
    """What somebody else's model was asked, and which modalities a sample must have one of."""

    question: ProtocolQuestion
    needs: frozenset[str]
    calibration: Calibration
    k: int
    cards: int


def ask(
    evaluator: object, inputs: Mapping[str, str] | None, dataset: Dataset, name: str
) -> ForeignQuestion:
    """The question of an evaluator that ranks labels, without a model.

    `inputs` are the modalities of a fusion's inputs by key, None where there is no fusion. Raises
    SpecError for another evaluator, and where zero-shot cannot tell queries from prompts.
    """
    if isinstance(evaluator, Classification):
        needs = frozenset(inputs.values() if inputs else dataset.modalities)
        kind: Literal["softmax", "sigmoid"] = "sigmoid" if dataset.is_multi_label else "softmax"
        calibration = Calibration(1.0, kind=kind)
        asked, kept, cards = evaluator.ask(dataset), evaluator.k, evaluator.cards
        return ForeignQuestion(asked, needs, calibration, kept, cards)
    if not isinstance(evaluator, ZeroShot):
        raise _ranks_no_labels(name, type(evaluator).__name__)
    known = inputs or _likely_inputs(evaluator, dataset, name)
    if len(known) != 2:
        raise needs_similarity(name, list(known))
    queries, prompts = (known[key] for key in evaluator.keys_among(known, name))
    return ForeignQuestion(
        evaluator.ask((queries, prompts), evaluator.combine or "features", dataset, name),
        frozenset({queries}),
        Calibration(
            evaluator.scale or 1.0, kind="sigmoid" if dataset.is_multi_label else "softmax"
        ),
        evaluator.k,
        evaluator.cards,
    )


def _likely_inputs(evaluator: ZeroShot, dataset: Dataset, name: str) -> dict[str, str]:
    """Queries and prompts named by their modalities: those that the options say, else text last."""
    prompts = evaluator.prompts or "text"
    others = [one for one in dataset.modalities if one != prompts]
    queries = evaluator.queries or (others[0] if len(others) == 1 else None)
    if queries is None:
        raise SpecError(
            explain(
                f"evaluate.{name}.queries",
                "nothing says which modality the model was asked about",
                found=f"modalities {', '.join(dataset.modalities)}",
                allowed="one modality beside that of the prompts",
                next_step='add queries = "image", say, to [[evaluate]]',
            )
        )
    return {queries: queries, prompts: prompts}


def _ranks_no_labels(name: str, found: str) -> SpecError:
    return SpecError(
        explain(
            f"evaluate.{name}",
            "it does not ask which label fits, so scores of labels are no answer",
            found=found,
            allowed="classification or zero_shot",
            next_step="name another with --evaluation, or leave out [[evaluate]]: classification",
        )
    )
