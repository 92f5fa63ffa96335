"""The contract of generators: what is generated under which condition (diffusion, flow matching).

Plugins import it from `mmlab.plugin`. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

from mmlab.plugin.values import Condition

if TYPE_CHECKING:
    from torch import Tensor


class Generator(Protocol):
    """Makes samples of one modality. Factory: `(dims, token_dims, fused, modality, *, options)`.

    `dims` and `token_dims` are the widths of the pooled features and tokens of the fusion's inputs
    (None where an encoder gives no tokens), `fused` is the width of its vector (None for a pure
    similarity), `modality` is what the spec's `target` names. It is an `nn.Module`. No option may
    be called `target`.

    `reads` says what of the condition it uses, of "fused", "features" (pooled, of each input) and
    "tokens". `shape` is that of one sample, (channels, frames, height, width): a picture is a video
    of one frame. The noise process is the generator's own, for sampling must match training.
    Random numbers are given, never drawn: noise is standard normal, `time` uniform in [0, 1). What
    is made of a sample depends on no other sample of its batch.
    """

    reads: ClassVar[frozenset[str]]
    shape: tuple[int, int, int, int]

    @property
    def preprocessing(self) -> str:
        """Identifies what `transform` does at evaluation; stored with every result."""

    def transform(self, raw: object, train: bool) -> Tensor:
        """One raw value -> a tensor of `shape` on the host, uint8 or floating point."""

    def terms(
        self, target: Tensor, condition: Condition, noise: Tensor, time: Tensor
    ) -> Mapping[str, Tensor]:
        """Named numbers for each sample, (B,); "loss" is to be minimised.

        target: (B, *shape) stacked transforms; noise: (B, *shape); time: (B,), which a generator
        may map to another distribution of times.
        """

    def sample(self, condition: Condition, noise: Tensor, *, steps: int, guidance: float) -> Tensor:
        """Noise (B, *shape) -> samples (B, *shape), floating point, in `steps` steps of a solver.

        Guidance 1 is the condition alone, 0 none, and more moves away from none.
        """

    def to_raw(self, sample: Tensor) -> object:
        """One sample or transform (shape) -> a raw value: an RGB picture, or uint8 frames.

        What `transform` makes of it is the sample to the precision of a raw value.
        """
