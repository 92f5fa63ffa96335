"""The values that pass between components: samples, batches, features, scores, outputs.

Plugins import them from `mmlab.plugin`. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, cast

from mmlab.errors import PluginError, explain

if TYPE_CHECKING:
    from torch import Tensor

    from mmlab.plugin.boxes import Boxes


@dataclass(frozen=True)
class Sample:
    """One raw sample of a dataset.

    `values` maps a modality to its raw value; a missing modality has no key. Raw values are: image,
    an RGB `PIL.Image.Image`; text, a `str`, or a tuple of captions (training draws one, evaluation
    takes the first, retrieval takes all); audio, a pair of a float32 tensor (channels, time) and
    its rate in Hz; video, uint8 frames (time, 3, height, width), or a list of RGB pictures of one
    size; tabular, a mapping of column names to texts or numbers, None or no key where a cell is
    empty. `labels` holds the label ids, or is None where the truth is unknown. A sample of a
    single-label dataset has exactly one, and () is unknown there too. One of a multi-label dataset
    has any number: () says that none of the labels is true, and counts as negative for all of them.
    `targets` holds one number for each of the dataset's `target_names`, NaN where it is unknown;
    none at all where the dataset has no targets. `boxes` says where things are in its image: none
    are there where it has no rows, and nobody knows where it is None.
    """

    id: str
    values: Mapping[str, object]
    labels: tuple[int, ...] | None = None
    targets: tuple[float, ...] = ()
    boxes: Boxes | None = None


class Source(NamedTuple):
    """A file that a sample is read from, or a part of one; a tuple, for there are millions.

    `name` is the absolute path, and of a part what finds it there: the same file has the same name
    in every split. `size_bytes` is what reading it gives.
    """

    name: str
    size_bytes: int


class Origin(NamedTuple):
    """Where a sample comes from: its files by modality, and its group (one person, say) if known.

    Two samples of one group belong in one split. A modality that is not read from a file of its own
    has no source.
    """

    sources: Mapping[str, Source]
    group: str | None = None


@dataclass(frozen=True)
class Survey:
    """What outlines and traces say of all samples of a split, in their order, column by column.

    `labels` and `modalities` count samples that have exactly these label ids (None: unknown), and
    these keys of values in this order. `targets` holds the rows one after the other. `sources` has
    by modality the names of all samples' files, None where there is none, and their sizes. `texts`
    stand for all values of samples that have text and nothing that an outline leaves out, and are
    None for others; equal ones are equal samples.
    """

    ids: Iterable[str]
    labels: Mapping[tuple[int, ...] | None, int]
    modalities: Mapping[tuple[str, ...], int]
    targets: Iterable[float]
    groups: Iterable[str | None]
    sources: Mapping[str, tuple[Iterable[str | None], Iterable[int]]]
    texts: Iterable[Hashable | None]


#: In the place of an encoder's key: what the generator is to make. No encoder can be called so.
GENERATED = "[generator]"


@dataclass(frozen=True)
class Batch:
    """Collated samples, on the model's device.

    `inputs` and `present` are keyed by encoder. `inputs[key]` is (B, ...): what the encoder's
    `transform` gave, and a placeholder where `present[key]` (B,) is False. `target` is (B,) int64
    with -1 for unknown, or (B, C) float for multi-label: 1 where a label is true, else 0, and a row
    of NaN where the labels are unknown. `index` (B,) int64 finds a sample's id.
    `views[key]` is (V, B, ...), further augmented views, when a loss asks for them. `targets` is
    (B, T) float32, NaN where unknown, and None where the dataset has none. `features[key]` stands
    in the place of `inputs[key]` where a frozen encoder's features are kept. `inputs[GENERATED]` is
    what a generator's own `transform` gave, where the spec has one.
    """

    inputs: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    target: Tensor
    index: Tensor
    views: Mapping[str, Tensor]
    targets: Tensor | None = None
    features: Mapping[str, Features] = field(default_factory=dict)

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with every tensor changed: moved to a device, say."""

        def each(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {key: change(x) for key, x in tensors.items()}

        return Batch(
            Inputs(each(self.inputs)),
            each(self.present),
            change(self.target),
            change(self.index),
            each(self.views),
            None if self.targets is None else change(self.targets),
            {key: features.map(change) for key, features in self.features.items()},
        )

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory; torch's DataLoader calls this by name."""
        return self.map(lambda x: x.pin_memory())


class Inputs(dict[str, "Tensor"]):
    """Inputs by encoder key; asking for one that was not read says why it is not there."""

    def __missing__(self, key: str) -> Tensor:
        raise PluginError(
            explain(
                f"encoders.{key}",
                "a loss asks for its inputs, which were not read: its features are kept",
                found=f"batch.inputs[{key!r}] of a frozen encoder",
                allowed="outputs.features; or inputs, where the loss names them: `reads_inputs`",
                next_step="tell the plugin's author; `mmlab.testing` checks this",
            )
        )


@dataclass(frozen=True)
class Features:
    """What an encoder makes of a batch, and what a fusion's `project` makes of that.

    pooled (..., D); tokens (..., N, T) or None; mask (..., N), True at real tokens, or None;
    present (...,), False where the sample lacks this modality (its other values mean nothing).
    T may differ from D. Leading axes are one batch axis, or two when all pairs are compared.
    """

    pooled: Tensor
    tokens: Tensor | None
    mask: Tensor | None
    present: Tensor

    @classmethod
    def of(
        cls, pooled: Tensor, tokens: Tensor | None = None, mask: Tensor | None = None
    ) -> Features:
        """Features whose samples are all present; mmlab marks the absent ones from the batch."""
        # torch takes Python's bool for torch.bool; its stubs do not, and torch is not imported here
        present = pooled.new_ones(pooled.shape[:-1], dtype=bool)  # type: ignore[call-overload]
        return cls(pooled, tokens, mask, present)

    def map(self, change: Callable[[Tensor], Tensor]) -> Features:
        """The features with every tensor changed."""
        tokens = None if self.tokens is None else change(self.tokens)
        mask = None if self.mask is None else change(self.mask)
        return Features(change(self.pooled), tokens, mask, change(self.present))


@dataclass(frozen=True)
class Condition:
    """What a sample is generated from.

    `inputs` are the features of the fusion's inputs in its order, `fused` is the fusion's vector
    (B, dim), None where it gives none. `present` (B,) is False where there is no condition: what
    the other fields hold there means nothing. In a sample with a condition some inputs may be
    absent, as their own `present` says.
    """

    inputs: tuple[Features, ...]
    fused: Tensor | None
    present: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Condition:
        """The condition with every tensor changed."""
        fused = None if self.fused is None else change(self.fused)
        inputs = tuple(features.map(change) for features in self.inputs)
        return Condition(inputs, fused, change(self.present))

    def absent(self) -> Condition:
        """No condition for any sample, as classifier-free guidance asks for."""
        none = self.present & False
        inputs = tuple(replace(f, present=f.present & False) for f in self.inputs)
        return Condition(inputs, self.fused, none)


@dataclass(frozen=True)
class Scores:
    """Similarity of A rows with B columns, both (A, B), higher is more alike.

    `forward` answers a row's question over columns, `backward` a column's over rows. They are the
    same tensor for a symmetric similarity.
    """

    forward: Tensor
    backward: Tensor


class Similarity(Protocol):
    """The scores of all pairs of a batch, computed when asked for."""

    @property
    def size(self) -> int:
        """Number of pairs B on the diagonal."""

    @property
    def present(self) -> Tensor:
        """(B,) bool: the pairs of which both sides are there."""

    @property
    def sides(self) -> Mapping[str, Features]:
        """What the fusion's `project` made of its two inputs, by encoder key; rows come first."""

    def of(self, features: Mapping[str, Features]) -> Similarity:
        """The similarity of other features of the same two encoders: of further views, say."""

    def dense(self) -> Scores:
        """All B x B scores at once."""

    def block(self, start: int, stop: int) -> Scores:
        """Scores of rows start to stop with all columns; memory grows with the block only."""


class Generation(Protocol):
    """A generator under the condition of a batch, computed when asked for."""

    @property
    def condition(self) -> Condition:
        """What it generates from, by which samples can be made, too."""

    def terms(self, batch: Batch) -> Mapping[str, Tensor]:
        """Named means over the batch's targets that are there; "loss" is to be minimised.

        In training times and noise are drawn anew; in evaluation they are those of each sample.
        """


@dataclass(frozen=True)
class Outputs:
    """One pass of the model over a batch.

    `features` are the encoders' (by encoder key); `fused` (B, dim) and `prediction` exist when the
    spec has a vector fusion and a head; `similarity` when the fusion has two inputs. `prediction`
    is (B, C) logits of the labels, or (B, T) in the targets' own units where a loss reads those.
    `generation` exists when the spec has a generator.
    """

    features: Mapping[str, Features]
    fused: Tensor | None
    prediction: Tensor | None
    similarity: Similarity | None
    generation: Generation | None = None


@dataclass(frozen=True)
class Calibration:
    """How a score s becomes a probability.

    softmax(scale * s) over labels, or sigmoid(scale * s + bias) for each label.
    """

    scale: float
    bias: float = 0.0
    kind: Literal["softmax", "sigmoid"] = "softmax"


@dataclass(frozen=True)
class Vocabulary:
    """Sizes and reserved ids of a text encoder's vocabulary; `special` ids carry no content."""

    size: int
    pad: int
    mask: int
    special: frozenset[int]


@dataclass(frozen=True)
class Shapes:
    """What a loss may need to know before the first batch.

    `dims` is the width of each encoder's pooled features, `token_dims` that of its tokens (encoders
    without tokens are left out), `fused` of the fusion's vector (None for a pure similarity). The
    rest describes the training split: `label_counts` are samples per label, `labelled_count` those
    whose labels are known, those of no label included; `target_deviations` the standard deviation
    of each target over its known values, 1 where they do not vary.
    """

    dims: Mapping[str, int]
    fused: int | None
    labels: tuple[str, ...]
    label_counts: tuple[int, ...]
    is_multi_label: bool
    vocabularies: Mapping[str, Vocabulary]
    token_dims: Mapping[str, int] = field(default_factory=dict)
    labelled_count: int = 0
    targets: tuple[str, ...] = ()
    target_deviations: tuple[float, ...] = ()


#: The least that `normalize` divides by: shorter vectors count as next to nothing.
SHORTEST = 1e-3


def normalize(x: Tensor, dim: int = -1) -> Tensor:
    """L2 normalisation: vectors at length 1, or x / SHORTEST where they are shorter than that.

    Zero stays zero, and no gradient grows by more than 1 / SHORTEST, whatever the length is. Of a
    vector that is normalised twice, as projections are that may also be averages of some, it is
    1 / SHORTEST ** 2: the usual 1e-12 would make that 1e24.
    """
    length = cast("Tensor", x.norm(dim=dim, keepdim=True))
    return x / length.clamp(min=SHORTEST)
