"""A plugin with a dataset that notes which samples of the test split are read, and takes time."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mmlab.plugin import Sample, Split, hookimpl
from support.toys import Clusters

#: Environment: a file that gets a line for each sample that is read, seconds that this takes, and
#: the index of the sample at which Ctrl-C comes.
LOG, SECONDS, STOP = "SLOW_DATA_LOG", "SLOW_DATA_SECONDS", "SLOW_DATA_STOP"
#: And the one at which the process ends, as if all were well.
EXIT = "SLOW_DATA_EXIT"


@hookimpl
def mmlab_datasets() -> dict[str, str]:
    return {"slow": "support.slow_data:Slow"}


class Slow(Clusters):
    """Clusters whose samples of the test split are read slowly."""

    def __init__(
        self,
        split: Split,
        *,
        count: Annotated[int, Field(ge=0)] = 24,
        captions: Annotated[int, Field(ge=1)] = 1,
        known: Annotated[int, Field(ge=0, le=4)] = 4,
        multi: bool = False,
    ) -> None:
        super().__init__(split, count=count, captions=captions, known=known, multi=multi)
        self.is_slow = split == "test"

    def outline(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        return replace(sample, values={**sample.values, "image": None})

    def __getitem__(self, index: int) -> Sample:
        if self.is_slow:
            if LOG in os.environ:
                with Path(os.environ[LOG]).open("a") as file:
                    file.write(f"{index}\n")
            time.sleep(float(os.environ.get(SECONDS, "0")))
            if index == int(os.environ.get(STOP, "-1")):
                raise KeyboardInterrupt
            if index == int(os.environ.get(EXIT, "-1")):
                os._exit(0)
        return super().__getitem__(index)
