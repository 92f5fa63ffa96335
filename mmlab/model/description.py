"""What a model was made for, kept in the header of its weights' file (safetensors metadata).

With it a model loads where its training data are gone. The file's sha256 covers it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from mmlab.data.reader import Reader
from mmlab.data.reference import ReferenceData
from mmlab.errors import WeightsError, explain
from mmlab.model.weights import WeightsFile

#: The key in the header of a weights' file.
KEY = "mmlab"

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype)
}


def _known(dtype: str) -> str:
    if dtype not in _DTYPES:
        raise ValueError("not a dtype of torch")
    return dtype


@dataclass(frozen=True)
class InputShape:
    """One transformed input of an encoder, without the batch axis: its sizes and its dtype."""

    sizes: tuple[Annotated[int, Field(ge=0)], ...]
    dtype: Annotated[str, AfterValidator(_known)]

    def placeholder(self) -> Tensor:
        """Zeros of this shape, which stand in where a sample lacks the input."""
        return torch.zeros(self.sizes, dtype=_DTYPES[self.dtype])


@dataclass(frozen=True)
class Description:
    """Reference data, and the shape of each encoder's input by the encoder's key."""

    # A target that no sample knows has no mean, and JSON no NaN.
    __pydantic_config__ = ConfigDict(ser_json_inf_nan="strings")

    data: ReferenceData
    inputs: Mapping[str, InputShape]

    def metadata(self) -> dict[str, str]:
        """The description as a text for the header of a file."""
        return {KEY: _ADAPTER.dump_json(self).decode()}

    def placeholders(self) -> dict[str, Tensor]:
        """What stands in for a missing input, by encoder key."""
        return {key: shape.placeholder() for key, shape in self.inputs.items()}


_ADAPTER = TypeAdapter(Description)


def describe(data: ReferenceData, readers: Mapping[str, Reader]) -> Description:
    """The description of a model with this reference data, whose inputs are read so."""
    shapes = {
        key: InputShape(tuple(x.shape), str(x.dtype).removeprefix("torch."))
        for key, x in ((key, reader.placeholder) for key, reader in readers.items())
    }
    return Description(data, shapes)


def description_of(file: WeightsFile, encoders: Collection[str]) -> Description | None:
    """What a file says of its model; None where it says nothing: one written before it could.

    Raises WeightsError where that cannot be understood, or says nothing of one of these encoders.
    """
    text = file.metadata.get(KEY)
    if text is None:
        return None
    try:
        found = _ADAPTER.validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise _unclear(file, f"{place or KEY}: {fault['msg']}") from error
    if missing := sorted(set(encoders) - found.inputs.keys()):
        raise _unclear(file, f"nothing of the encoder {missing[0]!r}")
    return found


def _unclear(file: WeightsFile, found: str) -> WeightsError:
    return WeightsError(
        explain(
            str(file.path),
            "what it says of the data that its model was made for cannot be understood",
            found=found,
            allowed="the description that mmlab writes into the header of weights",
            next_step="load it with the version of mmlab that wrote it, or run the experiment "
            "again with --rerun",
        )
    )
