"""The contracts of components: protocols of encoders, fusions, losses and datasets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    BinaryIO,
    ClassVar,
    Literal,
    Protocol,
    TypeVar,
    runtime_checkable,
)

from annotated_types import Ge, Le

from mmlab.plugin.values import (
    Batch,
    Calibration,
    Features,
    Origin,
    Outputs,
    Sample,
    Scores,
    Survey,
    Vocabulary,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mmlab.plugin.boxes import Box, Placement


#: The largest depth, width, number of heads, ... that a component is asked for.
LARGEST_SIZE = 10_000
#: An option that says how large something is made: `Annotated[Size, Field(description="...")]`. One
#: beyond all bounds is then told at its line, before anything is made; of a component with such an
#: option the parameters are counted first, by making it on torch's meta device.
Size = Annotated[int, Ge(1), Le(LARGEST_SIZE)]


@dataclass(frozen=True)
class EncoderKey:
    """Says of an option that its text is the key of an encoder: `Annotated[str, EncoderKey()]`.

    A key that the spec does not have is then a fault of the spec, before anything is built. Losses
    may name every encoder that is trained, evaluators the inputs of the fusion.
    """


@dataclass(frozen=True)
class Added:
    """Says of an option that it came after its component's first release, and what is neutral.

        floor: Annotated[float, Field(ge=0, description="..."), Added(0.0)] = 0.0

    `neutral` is the value, as a spec would write it (None where the option may be left out), under
    which the component does what it did before it had the option. An option left at it is no part
    of a run's identity, so that runs of before stay done. The default may change later; the neutral
    value never does. A table or component that stands by default names all its keys that are not
    `Added` themselves: `Added({"use": "cosine", "floor": 0.0})`.
    """

    neutral: object

    def __hash__(self) -> int:
        """A neutral value may be a list or a table."""
        return hash(repr(self.neutral))


@dataclass(frozen=True)
class Nested:
    """Says of an option that it lists components of a kind, each a table with `use`.

        parts: Annotated[Sequence[PartTable], Nested("dataset")]

    `PartTable` is a pydantic model of `use` and of keys that the option's own component reads,
    None where a table has them not; it allows extra keys, which are the options of the component
    that `use` names. The factory gets a `NestedComponent` for each. What identifies that is part of
    the identity, as of the spec's own components.
    """

    kind: str


class NestedComponent(Protocol):
    """A component that stands among the options of another one, as a mapping its whole table."""

    def __getitem__(self, key: str, /) -> Any: ...

    def get(self, key: str, default: Any = None, /) -> Any:
        """The value of a key, or the default where its table has no such key."""

    def make(self, **given: object) -> Any:
        """The component, given those of the values that its factory names: `split`, say."""


#: What mmlab passes to each kind of factory, by parameter name.
SUPPLIED: Mapping[str, frozenset[str]] = {
    "encoder": frozenset({"modality", "context"}),
    "fusion": frozenset({"dims", "token_dims", "outputs"}),
    "loss": frozenset({"shapes"}),
    "dataset": frozenset({"split"}),
    "head": frozenset({"dim", "outputs"}),
    "generator": frozenset({"dims", "token_dims", "fused", "modality"}),
    "evaluator": frozenset(),
    "metric": frozenset(),
    "optimizer": frozenset({"groups", "lr", "matrices"}),
    "schedule": frozenset({"lr", "total_steps", "warmup_steps"}),
}

#: Keys that mmlab itself reads beside `use`; no option may have one of these names.
RESERVED_OPTIONS = frozenset(
    {
        "use",
        "name",
        "weight",
        "weights",
        "freeze",
        "lora",
        "lr_scale",
        "inputs",
        "modality",
        "modality_dropout",
        "split",
        "dataset",
        "on_error",
        "max_skipped",
        "strict_splits",
    }
)

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


# --- contracts ------------------------------------------------------------------------------
T = TypeVar("T")
Encode = Callable[[str, "Tensor"], Features]


class Context(Protocol):
    """What an encoder may learn while it is built."""

    @property
    def reads(self) -> frozenset[str]:
        """What the fusion and the losses use: "pooled", and "tokens" if one of them does."""

    def once(self, key: str, make: Callable[[], T]) -> T:
        """The value of `make()`, made once per model for this key: a shared checkpoint, say.

        What `make` draws depends on the key and the seed alone, not on which encoder comes first.
        """


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
    """A text encoder that can describe its vocabulary. Its tokens lie beside its ids (B, N)."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Its size and reserved ids."""


@runtime_checkable
class Augmented(Protocol):
    """An encoder that says whether training may give it another input than evaluation would.

    Features of a frozen encoder are kept and used again only where it says False.
    """

    @property
    def augments(self) -> bool:
        """Whether `transform(raw, train=True)` may differ from `transform(raw, train=False)`."""


@runtime_checkable
class Placing(Protocol):
    """An image encoder that says where its transform puts a picture: resized, cropped, padded.

    Boxes that are found in its input can then be mapped back to the picture.
    """

    def placement(self, width: int, height: int) -> Placement:
        """Where `transform(raw, train=False)` puts a picture of this size in pixels.

        Its `result` is (width, height) of the tensor. Reads no picture, and draws nothing.
        """


@runtime_checkable
class Dense(Protocol):
    """An image encoder that gives features of patches, so that labels can be found in places."""

    @property
    def patch_grid(self) -> tuple[int, int] | None:
        """How many rows and columns of patches tile its input; None where it has no patches."""

    def patches(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, rows, columns, dim), one forward.

        Each patch's features lie in the space of the pooled ones: they are pooled and projected as
        the whole picture's are, each patch by itself.
        """


@runtime_checkable
class Trimmed(Protocol):
    """A text encoder that takes shorter input: prompts are then cut to the longest of a batch.

    `trims_text` says whether columns of ids that are padding in every row may be left out of its
    input without changing its pooled features; it may be so for some weights only.
    """

    trims_text: bool

    @property
    def vocabulary(self) -> Vocabulary:
        """Whose padding it is."""


@runtime_checkable
class Measured(Protocol):
    """A text encoder that says how long a text is, so that texts its input cuts off are told of.

    `length` is how many ids an input holds, those for its start and end included.
    """

    length: int

    def count_ids(self, raw: object) -> int:
        """How many ids a whole text has, counted as `length` is; it may be more than `length`."""


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
    """Features of one or more inputs -> one vector.

    Factory: `(dims, token_dims, outputs, *, options)`. `dims` and `token_dims` are the widths of
    each input's pooled features and tokens (None where the encoder gives none), `outputs` is how
    many numbers a prediction has, None where nothing is to be predicted: a fusion of predictions
    makes them itself, for the head `identity`.

    `prompts` says what is averaged when a label has several prompts: their projected features, or
    their scores where an average of features would mean something else. A class may also declare
    `width_option`, the name of the integer option by which a sweep brings the fusion to a budget of
    parameters: "dim" unless declared, None where there is no such option. It is made on torch's
    meta device then, so that nothing may read the values of tensors while it is made. It may
    declare `input_range`, how many inputs it joins, at least and at most, with None for no most:
    (2, 2) or (2, None), say. A spec that gives another number is refused before anything is made;
    unless declared, one input or more are joined. A fusion may have `function_class`, a text:
    fusions with the same one can express the same functions, and reports say so.
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
    """Two inputs -> a score for every pair, cheaply. Factory as for `VectorFusion`.

    One that also gives vectors may join more inputs, of which it is not asked for scores.
    """

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
    "vocabulary", "generation", and "features" (also of encoders that are no input of the fusion).
    Beside "prediction", "labels" or "targets" says what the head must predict; without either it
    predicts labels. `views` is how many further augmented views of each input it wants: validation
    makes them too, with the training transform. Inputs are there for it only as `Inquiring` says.

    A class may declare `metrics`, a tuple of `Metric`: what its scalars besides "loss" are, which
    way they are better and in which unit. `train.best` can then name them; one that is not declared
    is drawn as a curve, and is never the best unless the spec sets `best_mode`. "loss" is better
    low, and need not be declared unless it has a unit.
    """

    reads: ClassVar[frozenset[str]]
    views: int

    def __call__(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """Scalars by name; "loss" is minimised. `encode` is the only way to further features."""


@runtime_checkable
class Inquiring(Protocol):
    """A loss that looks at inputs themselves: to encode them changed, or to compare them.

    Without it, `batch.inputs` lacks frozen encoders whose features are kept.
    """

    @property
    def reads_inputs(self) -> frozenset[str]:
        """Keys of the encoders whose inputs it reads; they are read anew at every step."""


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


@runtime_checkable
class Published(Protocol):
    """A dataset on whose samples others publish figures; reports put theirs beside one's own.

    `test_set` names exactly these samples, the split spelled out: "eurosat/vtab-test" is not
    "eurosat/all". `main_metric` is the metric that is quoted for it.
    """

    test_set: str
    main_metric: str


@runtime_checkable
class Prompted(Protocol):
    """A dataset whose prompts call labels otherwise than `labels`, which are unique.

    Published lists may call two labels the same. Such labels score alike, and the one of the lower
    id ranks first.
    """

    @property
    def prompt_names(self) -> tuple[str, ...]:
        """What fills the templates for each label, in the order of `labels`; names may repeat."""


@runtime_checkable
class Outlined(Protocol):
    """A dataset that can tell of a sample what it knows without reading its files.

    Without it, counting labels and learning a vocabulary read every sample once per command.
    """

    def outline(self, index: int) -> Sample:
        """The sample of `dataset[index]`, its pictures, sounds and other large values as None.

        Raises DataError where what it knows of the sample is wrong: a box, say.
        """


@runtime_checkable
class Sectioned(Protocol):
    """A dataset whose samples come from several: each evaluation also asks of each section alone.

    Those results have the section's name for a condition.
    """

    @property
    def sections(self) -> Mapping[str, Sequence[int]]:
        """The positions of each section's samples, by its name; none where there is but one."""


@runtime_checkable
class Targeted(Protocol):
    """A dataset whose samples come with numbers to predict."""

    @property
    def target_names(self) -> tuple[str, ...]:
        """What `Sample.targets` holds, in order; none where the options name no target."""


@runtime_checkable
class Boxed(Protocol):
    """A dataset whose samples may say where things are in their pictures: `Sample.boxes`.

    The ids of boxes are those of `labels`. An outline has its sample's boxes, too.
    """

    @property
    def has_boxes(self) -> bool:
        """Whether any sample has boxes, of this split or another; False where options name none."""


@runtime_checkable
class Proposing(Protocol):
    """A dataset that proposes boxes in its pictures in which something may be."""

    def proposals(self, index: int) -> Sequence[Box]:
        """Those of sample `index`, in pixels as `Boxes` has them; none where nothing is proposed.

        Reads no picture.
        """


@runtime_checkable
class Noted(Protocol):
    """A dataset that tells how it read its files where a user may expect otherwise.

    What its reader decided (that a column holds numbers), what it joined or left out, and of how
    many. Every command that reads data tells each line once; a split need not repeat another's.
    """

    notes: Sequence[str]
    """One line each, in plain words; empty where there is nothing to tell."""


@runtime_checkable
class Traced(Protocol):
    """A dataset that knows which files its samples are read from, and who shares a group.

    Its splits can then be compared before anything is trained: whether a file, the same bytes or a
    group is in two of them. Without it only ids and labels are compared.
    """

    def trace(self, index: int) -> Origin:
        """Where sample `index` comes from. Reads no file; cheap, for it is asked of every sample.

        Each of its sources is a modality that the sample has.
        """

    def open_source(self, index: int, modality: str) -> BinaryIO:
        """The bytes of one of its sources, to be closed. Raises OSError or DataError."""


@runtime_checkable
class ReadTogether(Protocol):
    """A dataset that has read all splits to know one: a command then asks it for the others.

    They are what the factory would give, and share what was read.
    """

    def sibling(self, split: Split) -> Dataset:
        """Another split of the same component, or the same one."""


@runtime_checkable
class Surveyed(Traced, Outlined, Protocol):
    """A dataset that can tell of all its samples at once, where one by one takes long.

    Of a million samples one by one takes ten seconds, which every command would pay.
    """

    def survey(self) -> Survey:
        """What `outline` and `trace` say of every sample. Reads no file."""
