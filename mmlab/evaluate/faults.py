"""What can be wrong with an evaluation, in the words of a spec."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmlab.errors import DataError, RunError, SpecError, explain
from mmlab.plugin import Features


def empty_split(split: str) -> DataError:
    """There is nothing to evaluate on."""
    return DataError(
        explain(
            "evaluate.split",
            f"the {split} split is empty",
            found="0 samples",
            allowed="a split with samples",
            next_step="set `split` of this evaluation, or give the dataset such a split",
        )
    )


def no_labels(name: str) -> DataError:
    """The dataset names no labels to rank."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "the dataset has no labels to rank",
            found="0 labels",
            allowed="a dataset with labels",
            next_step="use a dataset with labels, or another evaluator such as retrieval",
        )
    )


def no_targets(name: str) -> DataError:
    """The dataset names no targets to predict."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "the dataset has no targets to compare with",
            found="0 targets",
            allowed="a dataset with targets",
            next_step="name its targets in [dataset], or use classification",
        )
    )


def nothing_left(name: str, skipped: int, needed: str) -> DataError:
    """Every sample lacks something the evaluator needs."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "no sample can take part",
            found=f"{skipped} samples, all without {needed}",
            allowed=f"at least one sample with {needed}",
            next_step="choose another split or dataset for this evaluation",
        )
    )


def needs_prediction(name: str) -> SpecError:
    """The model has no head."""
    return SpecError(
        explain(
            f"evaluate.{name}",
            "reads the prediction of a head, and the model has none",
            found="a model without [head]",
            allowed="a spec with a [head]",
            next_step="add [head], or use zero_shot",
        )
    )


def needs_similarity(name: str, inputs: Sequence[str]) -> SpecError:
    """The model cannot score pairs."""
    return SpecError(
        explain(
            f"evaluate.{name}",
            "reads the similarity of two inputs, and the model gives none",
            found=f"a fusion of {', '.join(inputs)}",
            allowed="a fusion of exactly two inputs that can score pairs",
            next_step="set fusion.inputs to two encoders, or use classification",
        )
    )


def needs_calibration(name: str) -> SpecError:
    """Nothing says how scores become probabilities."""
    return SpecError(
        explain(
            f"evaluate.{name}.scale",
            "nothing says how scores become probabilities",
            found="no loss and no pretrained encoder with a temperature",
            allowed="a loss that owns one (info_nce, say), pretrained weights, or a number above 0",
            next_step=f"set evaluate.{name}.scale, 100 for CLIP's cosines",
        )
    )


def wrong_inputs(name: str, option: str, found: object, inputs: Sequence[str]) -> SpecError:
    """An option names no input, or the same one twice."""
    return SpecError(
        explain(
            f"evaluate.{name}.{option}",
            "queries and prompts must be the two inputs of the fusion",
            found=repr(found),
            allowed=f"{inputs[0]!r} and {inputs[1]!r}, one each",
            next_step=f"set `{option}` to one of them, or leave it out",
        )
    )


def no_reader_of_prompts(name: str, inputs: Sequence[str], text_count: int) -> SpecError:
    """It is not clear which input reads the prompts."""
    return SpecError(
        explain(
            f"evaluate.{name}.prompts",
            "exactly one input must read text, so that it can read the prompts",
            found=f"{text_count} text encoders among {', '.join(inputs)}",
            allowed="one encoder of the modality text, or the option `prompts`",
            next_step=f"set evaluate.{name}.prompts to the encoder that reads prompts",
        )
    )


def too_many_inputs(name: str, count: int, most: int) -> SpecError:
    """The inputs have more subsets than anyone would store."""
    return SpecError(
        explain(
            f"evaluate.{name}",
            "asks about every subset of the fusion's inputs, and there are too many",
            found=f"{count} inputs, {2**count - 1:,} subsets",
            allowed=f"at most {most} inputs",
            next_step="remove this evaluation, or name fewer in fusion.inputs",
        )
    )


def wrong_templates(name: str, found: object) -> DataError:
    """A template has no place for the label, or several."""
    return DataError(
        explain(
            f"evaluate.{name}.templates",
            "every template needs exactly one {} for the label",
            found=found,
            allowed='one template or more, each with one {}, such as "a photo of a {}."',
            next_step=f"set evaluate.{name}.templates, or correct the dataset's",
        )
    )


def templates_and_file() -> SpecError:
    """Prompts come from two places."""
    return SpecError(
        explain(
            "evaluate.zero_shot",
            "prompts come from templates or from a file, not from both",
            found="templates and prompts_file",
            allowed="one of them, or neither: then the dataset's templates are used",
            next_step="remove one",
        )
    )


def no_mean_of_features(name: str) -> SpecError:
    """An average of features would mean nothing to this fusion."""
    return SpecError(
        explain(
            f"evaluate.{name}.combine",
            "this fusion gives no sense to an average of features",
            found="features",
            allowed="scores, probabilities",
            next_step="leave `combine` out",
        )
    )


def uneven_prompts(name: str) -> SpecError:
    """Probabilities over labels need one prompt of each label at a time."""
    return SpecError(
        explain(
            f"evaluate.{name}.combine",
            "probabilities are averaged over as many prompts for every label",
            found="labels with different numbers of prompts",
            allowed="features, scores; or a file with lists of one length",
            next_step="leave `combine` out",
        )
    )


def too_many_labels(name: str, count: int, allowed: int) -> DataError:
    """What is wanted needs the scores of all labels at once."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "so many labels are scored in blocks, of which no whole row of scores is kept",
            found=f"{count:,} labels, with keep_scores or combine = 'probabilities'",
            allowed=f"at most {allowed:,} labels with these options",
            next_step="leave these options out",
        )
    )


def too_few_templates(name: str, count: int) -> DataError:
    """There is nothing to choose between."""
    return DataError(
        explain(
            f"evaluate.{name}.templates",
            "a study of templates needs several",
            found=f"{count} template{'s' if count != 1 else ''}",
            allowed="two or more different ones",
            next_step=f"set evaluate.{name}.templates, or use zero_shot",
        )
    )


def no_such_input(name: str, found: str, inputs: Sequence[str]) -> SpecError:
    """An option names no input of the fusion."""
    return SpecError(
        explain(
            f"evaluate.{name}.encoder",
            "the fusion has no such input",
            found=repr(found),
            allowed=", ".join(inputs),
            next_step="name one of them, or leave the option out",
        )
    )


def several_truths(name: str) -> DataError:
    """Samples with several labels cannot be drawn label by label."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "so many samples of each label are drawn from data of one label a sample only",
            found="a multi-label dataset",
            allowed="a dataset with one label a sample",
            next_step="use linear_probe",
        )
    )


def too_few_shots(name: str, shots: int, label: str, count: int) -> DataError:
    """A label has not enough training samples."""
    return DataError(
        explain(
            f"evaluate.{name}.shots",
            "a label has fewer training samples than are to be drawn",
            found=f"{shots} shots, and {count} training samples of {label!r}",
            allowed=f"1 to {count}",
            next_step="lower the largest number of shots, or choose other labels",
        )
    )


def lacks_modality(name: str, modality: str, modalities: Sequence[str]) -> DataError:
    """The dataset has nothing for an input that the evaluator reads."""
    return DataError(
        explain(
            f"evaluate.{name}",
            f"the dataset has no {modality}",
            found=f"modalities {', '.join(modalities) or 'none'}",
            allowed=f"a dataset with {modality}",
            next_step="choose another dataset or evaluator",
        )
    )


def wrong_label_count(name: str, outputs: int, labels: int) -> DataError:
    """The head decides between other labels than the dataset's."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "the head and the dataset have different numbers of labels",
            found=f"{outputs} outputs, {labels} labels",
            allowed="a dataset with the labels the head was trained on",
            next_step="choose another dataset for this evaluation, or use zero_shot",
        )
    )


def wrong_target_count(name: str, outputs: int, targets: int) -> DataError:
    """The head predicts other targets than the dataset's."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "the head and the dataset have different numbers of targets",
            found=f"{outputs} outputs, {targets} targets",
            allowed="a dataset with the targets the head was trained on",
            next_step="choose another dataset for this evaluation",
        )
    )


def check_numbers(scores: Tensor, name: str) -> None:
    """Raise RunError where a score is NaN or infinite: ranks would look like first places."""
    if not is_finite(scores):
        raise _not_finite(f"evaluate.{name}", "a score", scores)


def check_features(features: Features, key: str) -> None:
    """Raise RunError where an encoder gave a feature that is NaN or infinite.

    A gate or a softmax would make finite scores of it. What is absent or masked means nothing.
    """
    tokens, present = features.tokens, features.present
    if not is_finite(features.pooled) and not is_finite(found := features.pooled[present]):
        raise _not_finite(f"encoders.{key}", "a feature", found)
    if tokens is not None and not is_finite(tokens):
        real = present[..., None].expand(tokens.shape[:-1])
        found = tokens[real if features.mask is None else real & features.mask]
        if not is_finite(found):
            raise _not_finite(f"encoders.{key}", "a feature of a token", found)


def is_finite(x: Tensor) -> bool:
    """Whether no number is NaN or infinite, found in one pass without a second tensor."""
    return x.numel() == 0 or bool(torch.stack(x.aminmax()).isfinite().all())


def _not_finite(place: str, what: str, x: Tensor) -> RunError:
    message = explain(
        place,
        f"{what} is not a finite number",
        found="NaN" if bool(x.isnan().any()) else "infinity",
        allowed="finite numbers",
        next_step="train with a lower train.lr, or evaluate with train.precision = 'fp32'",
    )
    return RunError(message, "nan")
