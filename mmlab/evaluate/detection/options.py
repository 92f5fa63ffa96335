"""What a spec may say of a detection, and what it may not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mmlab.evaluate.detection.found import Score

_Side = Annotated[float, Field(ge=0.02, le=100)]
_Aspect = Annotated[float, Field(ge=0.05, le=20)]
_Share = Annotated[float, Field(gt=0, le=1)]

RegionsOption = Annotated[
    Literal["windows", "tokens", "proposals"], Field(description="where labels are looked for")
]
ProposalsOption = Annotated[
    Path | None,
    Field(description="JSON file of {sample: [[x0, y0, x1, y1], ...]}, for proposals"),
]
ScalesOption = Annotated[
    Annotated[Sequence[_Side], Field(min_length=1, max_length=100)],
    Field(description="sides of windows, as shares of the picture's shorter side"),
]
AspectsOption = Annotated[
    Annotated[Sequence[_Aspect], Field(min_length=1, max_length=100)],
    Field(description="width over height of windows"),
]
StrideOption = Annotated[
    float, Field(ge=0.05, le=1, description="steps between windows, in their sides")
]
ScoreOption = Annotated[
    Score, Field(description="of a box: its label's probability, or the bare score")
]
OverlapOption = Annotated[
    _Share, Field(description="IoU above which the less sure of two boxes of a label goes")
]
LevelOption = Annotated[
    _Share, Field(description="tokens: how near to its peak a map must be in a box")
]
BackgroundOption = Annotated[
    Sequence[Annotated[str, Field(pattern=r"\S")]],
    Field(description="whole prompts of nothing, which compete with labels"),
]
ChoiceOption = Annotated[
    bool, Field(description="take those that raise AP50 on the validation split, not all")
]
ThresholdOption = Annotated[
    Annotated[float, Field(allow_inf_nan=False)] | Literal["validation"] | None,
    Field(description="least score of a box; validation chooses that of the best F1"),
]
