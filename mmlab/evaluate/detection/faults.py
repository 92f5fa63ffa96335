"""What a detection refuses, with a next step for whoever wrote the spec."""

from __future__ import annotations

from mmlab.errors import DataError, SpecError, explain
from mmlab.evaluate.rank_labels import BLOCK_LABELS


def no_boxes(name: str) -> DataError:
    """Nobody knows what is where."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "the dataset does not say where things are",
            found="a dataset without boxes",
            allowed="a dataset whose samples have boxes",
            next_step="use a dataset with boxes, or zero_shot, which needs none",
        )
    )


def no_pictures(name: str, key: str) -> SpecError:
    """No windows can be cut from what an encoder reads."""
    return SpecError(
        explain(
            f"evaluate.{name}.queries",
            f"encoders.{key} reads no pictures",
            found="an input that is not (3, height, width)",
            allowed="an encoder of pictures",
            next_step="set `queries` to the encoder that reads pictures",
        )
    )


def too_many_answers(name: str, count: int) -> DataError:
    """Labels would have to be asked for block by block."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "there are too many labels to look for",
            found=f"{count:,} labels",
            allowed=f"up to {BLOCK_LABELS:,} labels and backgrounds together",
            next_step="use a dataset of fewer labels",
        )
    )


def uneven_background(name: str) -> SpecError:
    """A background is one prompt, where probabilities are averaged prompt by prompt."""
    return SpecError(
        explain(
            f"evaluate.{name}.background",
            "probabilities cannot be averaged where labels have several prompts, a background one",
            found='background with combine = "probabilities"',
            allowed='combine = "features" or "scores", or no background',
            next_step="change `combine`, or remove `background`",
        )
    )


def known_background(name: str, text: str) -> SpecError:
    """A background would compete with itself, or with the label that it is a prompt of."""
    return SpecError(
        explain(
            f"evaluate.{name}.background",
            "a background is an answer already",
            found=f"{text!r}, which is another background or a label's prompt",
            allowed="texts that differ from each other and from every prompt",
            next_step="remove it",
        )
    )
