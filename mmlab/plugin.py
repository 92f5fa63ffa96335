"""The one public door for plugins: hooks, contracts, and the values that pass between components.

A plugin distribution has an entry point in the group `mmlab` naming a module whose hook functions
return `{"name used in TOML": "package.module:Factory"}`:

    from mmlab.plugin import hookimpl

    @hookimpl
    def mmlab_encoders() -> dict[str, str]:
        return {"vit": "mmlab_encoders.vit:ViT"}

A factory's positional parameters are what mmlab supplies (it names those it wants, see SUPPLIED);
its keyword-only parameters are the options a spec may set, annotated as pydantic reads them.
Components are `torch.nn.Module`s (datasets are not); anything that must survive in a checkpoint is
a parameter, a buffer or the extra state of the module. Plugins draw randomness from torch's ambient
generator and never seed it. Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import pluggy

from mmlab.errors import DataError as DataError
from mmlab.errors import PluginError as PluginError
from mmlab.errors import SpecError as SpecError
from mmlab.errors import WeightsError as WeightsError
from mmlab.errors import explain as explain

if TYPE_CHECKING:
    from torch import Tensor, nn

API_VERSION = 1
GROUP = "mmlab"
KINDS = ("encoder", "fusion", "loss", "dataset")

#: What mmlab passes to each kind of factory, by parameter name.
SUPPLIED: Mapping[str, frozenset[str]] = {
    "encoder": frozenset({"modality", "context"}),
    "fusion": frozenset({"dims", "token_dims"}),
    "loss": frozenset({"shapes"}),
    "dataset": frozenset({"split"}),
    "head": frozenset({"dim", "outputs"}),
    "evaluator": frozenset(),
}

#: Keys that mmlab itself reads beside `use`; no option may have one of these names.
RESERVED_OPTIONS = frozenset(
    {"use", "name", "weight", "weights", "freeze", "inputs", "modality", "split", "dataset"}
)

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """The four hooks. Each returns names and entry-point strings, so calling it imports nothing."""

    @hookspec
    def mmlab_encoders(self) -> Mapping[str, str]:
        """Encoders of one modality: factories of `Encoder`."""
        raise NotImplementedError

    @hookspec
    def mmlab_fusions(self) -> Mapping[str, str]:
        """Fusions of several modalities: factories of `VectorFusion` or `SimilarityFusion`."""
        raise NotImplementedError

    @hookspec
    def mmlab_losses(self) -> Mapping[str, str]:
        """Losses: factories of `Loss`."""
        raise NotImplementedError

    @hookspec
    def mmlab_datasets(self) -> Mapping[str, str]:
        """Datasets: factories of `Dataset`."""
        raise NotImplementedError


# --- values ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """One raw sample of a dataset.

    `values` maps a modality to its raw value; a missing modality has no key. Raw values are: image,
    an RGB `PIL.Image.Image`; text, a `str`, or a tuple of captions (training draws one, evaluation
    takes the first, retrieval takes all); audio, a pair of a float32 tensor (channels, time) and
    its rate in Hz. `labels` holds the label ids: one for a single-label dataset, any number for a
    multi-label one, none where the truth is unknown.
    """

    id: str
    values: Mapping[str, object]
    labels: tuple[int, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Collated samples, on the model's device.

    `inputs` and `present` are keyed by encoder. `inputs[key]` is (B, ...): what the encoder's
    `transform` gave, and a placeholder where `present[key]` (B,) is False. `target` is (B,) int64
    with -1 for unknown, or (B, C) float for multi-label. `index` (B,) int64 finds a sample's id.
    `views[key]` is (V, B, ...), further augmented views, when a loss asks for them.
    """

    inputs: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    target: Tensor
    index: Tensor
    views: Mapping[str, Tensor]

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with every tensor changed: moved to a device, say."""

        def each(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {key: change(x) for key, x in tensors.items()}

        return Batch(
            each(self.inputs),
            each(self.present),
            change(self.target),
            change(self.index),
            each(self.views),
        )

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory; torch's DataLoader calls this by name."""
        return self.map(lambda x: x.pin_memory())


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

    def dense(self) -> Scores:
        """All B x B scores at once."""

    def block(self, start: int, stop: int) -> Scores:
        """Scores of rows start to stop with all columns; memory grows with the block only."""


@dataclass(frozen=True)
class Outputs:
    """One pass of the model over a batch.

    `features` are the encoders' (by encoder key); `fused` (B, dim) and `prediction` (B, C) exist
    when the spec has a vector fusion and a head; `similarity` when the fusion has two inputs.
    """

    features: Mapping[str, Features]
    fused: Tensor | None
    prediction: Tensor | None
    similarity: Similarity | None


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

    `dims` is the width of each encoder's pooled features, `fused` of the fusion's vector (None for
    a pure similarity). `labels` and `label_counts` describe the training split.
    """

    dims: Mapping[str, int]
    fused: int | None
    labels: tuple[str, ...]
    label_counts: tuple[int, ...]
    is_multi_label: bool
    vocabularies: Mapping[str, Vocabulary]


# --- contracts ------------------------------------------------------------------------------

T = TypeVar("T")
Encode = Callable[[str, "Tensor"], Features]


class Context(Protocol):
    """What an encoder may learn while it is built."""

    @property
    def reads(self) -> frozenset[str]:
        """What the fusion and the losses use: "pooled", and "tokens" if one of them does."""

    def once(self, key: str, make: Callable[[], T]) -> T:
        """The value of `make()`, made once per model for this key: a shared checkpoint, say."""


class Encoder(Protocol):
    """One modality -> features. Factory: `(modality, context, *, options)`, an `nn.Module`."""

    dim: int
    token_dim: int | None

    @property
    def preprocessing(self) -> str:
        """Identifies what `transform` does at evaluation; stored with every result."""

    def transform(self, raw: object, train: bool) -> Tensor:
        """One raw value -> one tensor on the host; every result has one shape and dtype.

        Images stay uint8 (3, H, W): they are normalised on the device, in `forward`.
        """

    def __call__(self, x: Tensor) -> Features:
        """(B, ...) stacked transforms -> Features.of(pooled (B, dim), tokens (B, N, token_dim))."""


@runtime_checkable
class Fitted(Protocol):
    """An encoder that learns something from the training split before training: a vocabulary."""

    def fit(self, raws: Sequence[object]) -> None:
        """See every raw training value once, in a fixed order. The result is module state."""


@runtime_checkable
class Tokenized(Protocol):
    """A text encoder that can describe its vocabulary."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Its size and reserved ids."""


@runtime_checkable
class Staged(Protocol):
    """An encoder that can name its stages: freezing to a depth and layer-wise learning rates."""

    def stages(self) -> Sequence[nn.Module]:
        """Modules from input to output; together they hold every parameter, each once."""


@runtime_checkable
class Pretrained(Protocol):
    """An encoder that may bring weights of its own."""

    @property
    def weights_description(self) -> str:
        """Where they come from, with an identity; or that they are random. Stored with the run."""


@runtime_checkable
class Calibrated(Protocol):
    """A loss that owns a temperature, or an encoder whose pretrained weights carry one."""

    def calibration(self) -> Calibration:
        """The present scale and bias, read from the device."""


@runtime_checkable
class VectorFusion(Protocol):
    """Features of one or more inputs -> one vector. Factory: `(dims, token_dims, *, options)`.

    `prompts` says what is averaged when a label has several prompts: their projected features, or
    their scores where an average of features would mean something else.
    """

    reads: ClassVar[frozenset[str]]
    prompts: ClassVar[Literal["features", "score"]]
    dim: int

    def project(self, position: int, features: Features) -> Features:
        """The part that depends on one input alone; `fuse` takes its results."""

    def fuse(self, *features: Features) -> Tensor:
        """Projected features -> (..., dim). Acts on the last axis and broadcasts over the rest."""


@runtime_checkable
class SimilarityFusion(Protocol):
    """Two inputs -> a score for every pair, cheaply. Factory as for `VectorFusion`."""

    reads: frozenset[str]
    prompts: Literal["features", "score"]

    def project(self, position: int, features: Features) -> Features:
        """The part that depends on one input alone; `score` takes its results."""

    def score(self, u: Features, v: Features) -> Scores:
        """A rows of input 0 with B columns of input 1 -> scores, both (A, B)."""


Fusion = VectorFusion | SimilarityFusion


class Loss(Protocol):
    """Outputs and a batch -> named scalars. Factory: `(shapes, *, options)`, an `nn.Module`.

    `reads` says what of the model it uses: any of "similarity", "prediction", "fused", "tokens",
    "vocabulary", and "features" (also of encoders that are no input of the fusion). `views` is
    how many further augmented views of each input it wants.
    """

    reads: ClassVar[frozenset[str]]
    views: int

    def __call__(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """Scalars by name; "loss" is minimised. `encode` is the only way to further features."""


@runtime_checkable
class Stepped(Protocol):
    """A loss with something to do after each optimiser step: clamping its temperature."""

    def after_step(self) -> None:
        """Called after the optimiser has changed the parameters."""


class Dataset(Protocol):
    """Raw samples of one split, in a fixed order. Factory: `(split, *, options)`.

    `revision` identifies content: a hash of index, sizes and options, the same on every machine.
    `labels` are the names of the label ids, `templates` the prompts with one `{}` each.
    """

    modalities: tuple[str, ...]
    labels: tuple[str, ...]
    templates: tuple[str, ...]
    is_multi_label: bool
    revision: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
