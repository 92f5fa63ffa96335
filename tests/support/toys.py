"""A plugin of toys: they train in milliseconds, fail when told to, and have awkward labels."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Added, Batch, Encode, Features, Outputs, Sample, Shapes, Split, hookimpl

LABELS = ("red 🟥", 'green\'s "x"', "<b>blue</b>", "never seen 🦜")
STARTS: Mapping[Split, int] = {"train": 0, "validation": 1000, "test": 2000}


@hookimpl
def mmlab_datasets() -> dict[str, str]:
    return {"clusters": "support.toys:Clusters"}


@hookimpl
def mmlab_encoders() -> dict[str, str]:
    return {
        "toy": "support.toys:Toy",
        "silent": "support.toys:Silent",
        "unsure": "support.toys:Unsure",
        "shaky": "support.toys:Shaky",
    }


@hookimpl
def mmlab_losses() -> dict[str, str]:
    return {"scripted": "support.toys:Scripted", "curious": "support.toys:Curious"}


@hookimpl
def mmlab_generators() -> dict[str, str]:
    return {"dreamer": "support.toy_generator:Dreamer"}


class Clusters:
    """Vectors around one centre a label (image), and what they are called (text).

    `script` names a text file; its first line is the revision and, if it says "raise", an error.
    """

    modalities: tuple[str, ...] = ("image", "text")
    templates: tuple[str, ...] = ("a {}", "{}")

    def __init__(
        self,
        split: Split,
        *,
        count: Annotated[int, Field(ge=0)] = 24,
        known: Annotated[int, Field(ge=0, le=4)] = 4,
        empty: Sequence[str] = (),
        multi: bool = False,
        captions: Annotated[int, Field(ge=1)] = 1,
        script: str = "",
        notes: Annotated[Sequence[str], Added([])] = (),
    ) -> None:
        self.notes = [note.format(split=split) for note in notes]
        self.labels = LABELS[:known]
        self.is_multi_label = multi
        self._captions = captions
        self._start = STARTS[split]
        self._count = 0 if split in empty else count
        edition = Path(script).read_text().strip() if script else "1"
        if edition == "raise":
            raise OSError("the disk of this dataset has gone away")
        self.reads = 0
        self.revision = f"clusters-{edition}-{count}-{known}-{','.join(empty)}-{multi}"
        self.revision += f"-{captions}" if captions > 1 else ""

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        self.reads += 1
        number = self._start + index
        seen = max(1, len(self.labels) - 1)  # the last label has no sample
        label = number % seen
        noise = torch.randn(4, generator=torch.Generator().manual_seed(number))
        centre = 2 * F.one_hot(torch.tensor(label), 4)
        values: dict[str, object] = {"image": (centre + noise).tolist()}
        if not (self.is_multi_label and index % 7 == 3):
            texts = [f"{LABELS[label]} number {number}" + "!" * i for i in range(self._captions)]
            values["text"] = tuple(texts) if len(texts) > 1 else texts[0]
        return Sample(f"point-{number} 🦜", values, self._truths(index, label, seen))

    def _truths(self, index: int, label: int, seen: int) -> tuple[int, ...]:
        if not self.labels:
            return ()
        if not self.is_multi_label or index % 2:
            return (label,)
        return () if index == 4 else tuple(sorted({label, (label + 1) % seen}))


class Silent(nn.Module):
    """A toy that does not say whether its inputs in training are others than in evaluation."""

    preprocessing = "toy"
    token_dim = None

    def __init__(self, modality: str, *, dim: Annotated[int, Field(ge=1)] = 8) -> None:
        super().__init__()
        self.dim = dim
        self.first = nn.Linear(16 if modality == "text" else 4, dim)
        self.second = nn.Linear(dim, dim)

    def transform(self, raw: object, train: bool) -> Tensor:
        if not isinstance(raw, str):
            return torch.tensor(raw)
        places = torch.tensor([byte % 16 for byte in raw.encode()], dtype=torch.int64)
        return torch.bincount(places, minlength=16).float()

    def forward(self, x: Tensor) -> Features:
        return Features.of(self.second(F.relu(self.first(x))))

    def stages(self) -> Sequence[nn.Module]:
        return (self.first, self.second)


class Toy(Silent):
    """Two linear maps of a vector, or of how often each byte modulo 16 is in a text."""

    augments = False


class Shaky(Toy):
    """A toy whose inputs tremble in training."""

    augments = True

    def transform(self, raw: object, train: bool) -> Tensor:
        x = super().transform(raw, train)
        return x + torch.randn(x.shape) if train else x


class Unsure(Toy):
    """A toy that might have brought weights of its own, but has not."""

    weights_description = "toy-B-32, random weights"


def _nothing() -> None:
    """Behave."""


#: What components do to their process, by mistake or by a library of theirs.
_WILD: Mapping[str, Callable[[], object]] = {
    "leave": lambda: os._exit(0),
    "leave_with_3": lambda: os._exit(3),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "kill_parent": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "terminate": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "hang": lambda: time.sleep(600),
    "fork": os.fork,
    "close_output": lambda: os.close(1),
    "move": lambda: os.chdir(Path(__file__).parent),
    "double": lambda: torch.set_default_dtype(torch.float64),
    "no_grad": lambda: torch.set_grad_enabled(False),
    "variable": lambda: os.environ.update(LEFT_BY="a component"),
    "handler": lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN),
    "path": lambda: sys.path.append("somewhere"),
    "eat": lambda: torch.empty(1 << 33),
    "eat_bytes": lambda: bytearray(1 << 35),
}


class Mute(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise SystemExit("there are no words for it")

    __repr__ = __str__


#: What the scripted loss raises beside the usual, by the word for it.
ODD: Mapping[str, BaseException] = {
    "base": BaseException("more than an Exception"),
    "generator": GeneratorExit("out of a generator"),
    "mute": Mute(),
    "endless": ValueError("a" * 30_000_000),
    "unstorable": ValueError("\0 and half of a pair: \ud83d"),
}


class Scripted(nn.Module):
    """Cross entropy (softmax or sigmoid), and what a script says from which step on.

    `script` names a text file of a line `STEP WORD` or `STEP WORD RANK`, for one process of a group
    alone, the first step being 1; the path alone counts
    as an option, so that its text may change between two tries at one run. "turn" makes training
    go the wrong way. Validation also gives "gap", which is never a number. Beside the script,
    `<script>.log` gets a line for every training step.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"prediction"})
    views = 0
    #: As a GPU's context is after an error: nothing goes any more in this process.
    is_lost: ClassVar[bool] = False

    def __init__(self, shapes: Shapes, *, script: str = "") -> None:
        super().__init__()
        self.is_multi_label = shapes.is_multi_label
        self.log = Path(f"{script}.log") if script else None
        text = Path(script).read_text() if script and Path(script).exists() else ""
        step, self.word, rank = [*text.split(), "", "", ""][:3]
        self.start = int(step or 0)
        if rank not in ("", os.environ.get("RANK", "0")):
            self.word = ""
        self.calls = 0

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        prediction = outputs.prediction.float()
        if self.is_multi_label:
            loss = F.binary_cross_entropy_with_logits(prediction, batch.target)
        else:
            loss = F.cross_entropy(prediction, batch.target, ignore_index=-1)
        return (
            {"loss": self._act(loss)} if self.training else {"loss": loss, "gap": loss * math.nan}
        )

    def _act(self, loss: Tensor) -> Tensor:
        self.calls += 1
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"step {self.calls}\n")
        if self.word and self.calls >= self.start:
            loss = self._obey(loss)
        if Scripted.is_lost:
            raise torch.AcceleratorError("CUDA error: device-side assert triggered\nMore words")
        return loss

    def _obey(self, loss: Tensor) -> Tensor:
        if self.word == "raise":
            raise ValueError("this loss has had enough")
        if self.word == "exit":
            sys.exit("a component that ends the program")
        if self.word == "interrupt":
            raise KeyboardInterrupt
        if self.word in ODD:
            raise ODD[self.word]
        if self.word == "memory":
            raise torch.OutOfMemoryError("tried to allocate 80 GiB")
        if self.word == "device":
            Scripted.is_lost = True
        if self.word == "sleep":
            time.sleep(0.1)
        _WILD.get(self.word, _nothing)()
        return loss * {"nan": float("nan"), "turn": -20.0}.get(self.word, 1.0)


class Curious(Scripted):
    """A loss that looks at the texts themselves."""

    reads_inputs = frozenset({"text"})
