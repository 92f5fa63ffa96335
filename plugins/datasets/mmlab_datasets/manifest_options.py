"""What a spec may say of a manifest's rows and boxes, and what it may not."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mmlab.plugin import Added
from mmlab_datasets.box_cells import Form

Column = Annotated[str, Field(min_length=1)]
Fraction = Annotated[float, Field(ge=0, lt=0.5)]


RowsOption = Annotated[
    Literal["auto", "samples"],
    Field(description="auto: rows of one file are one sample; samples: each is one"),
    Added("auto"),
]
SampleColumn = Annotated[
    Column | None,
    Field(description="rows of one value are one sample with several captions"),
    Added(None),
]
BoxColumn = Annotated[
    Column | None, Field(description="lists of boxes in the image, in pixels"), Added(None)
]
BoxLabelColumn = Annotated[
    Column | None, Field(description="lists of a label for each box"), Added(None)
]
BoxCrowdColumn = Annotated[Column | None, Field(description="lists: is it a crowd?"), Added(None)]
BoxDifficultColumn = Annotated[
    Column | None, Field(description="lists: does it not count?"), Added(None)
]
BoxForm = Annotated[
    Form,
    Field(description="corners: [x0, y0, x1, y1]; size: [x0, y0, width, height]"),
    Added("corners"),
]
