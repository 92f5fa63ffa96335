"""The tables of a spec, as pydantic models: strict, frozen, and closed to unknown keys.

A component's table is open: what mmlab does not read itself is an option of the component, and is
checked against its factory when the component is known. What several keys must agree on is in
`mmlab.spec.checks`, so that it is reported together with all else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mmlab.metric import OF_SUITE
from mmlab.plugin import LARGEST_SIZE, Added, Size, Split

SCHEMA_VERSION = 1

#: A name that is shown, stored and used in metric names and folders.
Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$", max_length=100)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=100)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
#: Steps, epochs, and what else is counted: more than that nobody waits for.
Positive = Annotated[int, Field(ge=1, le=10**9)]
Cells = Annotated[int, Field(ge=1, le=10**6)]
#: Steps, a time, or what costs one per cent.
CheckpointInterval = (
    Positive
    | Annotated[
        str,
        Field(
            pattern=r"^(auto|[1-9][0-9]{0,5}[smh])$",
            json_schema_extra={"x-form": 'such as "auto", "30s", "10m" or "2h"'},
        ),
    ]
)


@dataclass(frozen=True)
class WithoutEffect:
    """Says of a key that no trained weight depends on it, or that what it names is hashed instead.

    Every other key of a table is part of a run's identity. One that is added after a release has
    `mmlab.plugin.Added` with the value under which all is as before.
    """


class Table(BaseModel):
    """What all tables have in common."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),
        validate_default=True,  # a default has one spelling with the same value in a spec
    )


class Component(Table):
    """A component chosen by name; every key that mmlab does not read is one of its options."""

    model_config = ConfigDict(extra="allow")

    use: Annotated[str, Field(min_length=1, description="name of an installed component")]

    @property
    def options(self) -> dict[str, object]:
        """What the spec sets of the component's own options."""
        return dict(self.__pydantic_extra__ or {})


class DatasetTable(Component):
    """A dataset, and what happens where a sample cannot be read, or splits share something."""

    on_error: Annotated[
        Literal["error", "skip"],
        Field(description="a sample that cannot be read ends the run, or is left out and recorded"),
        WithoutEffect(),  # the dataset's revision says which are left out
    ] = "error"
    max_skipped: Annotated[
        float,
        Field(ge=0, lt=1, description='largest share of a split that on_error = "skip" leaves out'),
        WithoutEffect(),
    ] = 0.001
    strict_splits: Annotated[
        bool,
        Field(description="refuse splits that share a file, a group or an id; they are told else"),
        WithoutEffect(),
    ] = False


class SourceTable(Table):
    """Where first weights come from: another experiment's best run, or a file.

    The bytes that these keys lead to are hashed.
    """

    run: Annotated[
        str | None, Field(description="name of an experiment, or id of a run"), WithoutEffect()
    ] = None
    file: Annotated[
        Path | None,
        Field(description="safetensors file, relative to the file that names it"),
        WithoutEffect(),
    ] = None


class WeightsTable(SourceTable):
    """Where an encoder's initial weights come from: also which encoder there."""

    encoder: Annotated[
        str | None,
        Field(description="the encoder's key there; by default its key here"),
        WithoutEffect(),
    ] = None


class LoraTable(Table):
    """Low-rank adapters: the encoder stays as it is, and small additions to its maps learn."""

    rank: Annotated[Size, Field(description="rank of what is added to each linear map")] = 8
    alpha: Annotated[
        float | None, Field(gt=0, description="scales what is added by alpha / rank; rank itself")
    ] = None
    targets: Annotated[
        list[str],
        Field(min_length=1, description="names of linear maps, whole or their last part; * and ?"),
    ] = ["*"]


class EncoderTable(Component):
    """An encoder of one modality."""

    modality: Annotated[
        Name | None, Field(description="what it reads; by default the key of the table")
    ] = None
    freeze: Annotated[
        bool | Annotated[int, Field(ge=0, le=LARGEST_SIZE)],
        Field(
            description="train nothing of it, or nothing of its first stages, given their number"
        ),
    ] = False
    weights: Annotated[WeightsTable | None, Field(description="weights it starts from")] = None
    lr_scale: Annotated[float, Field(gt=0, description="factor of train.lr for this encoder")] = 1.0
    lora: Annotated[
        LoraTable | None, Field(description="train low-rank additions, and nothing else of it")
    ] = None


class FusionTable(Component):
    """How the encoders' features become one representation, or a similarity."""

    inputs: Annotated[
        list[str] | None,
        Field(
            min_length=1,
            max_length=1000,
            description="encoder keys in order; by default all as they appear",
        ),
    ] = None
    modality_dropout: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="in training, how often each input of a sample counts as absent; never "
            "all, but a generator is as often given no condition",
        ),
    ] = 0.0


class GeneratorTable(Component):
    """A generator of one modality under the condition of the fusion's inputs."""

    target: Annotated[Name, Field(description="the modality of the dataset that it makes")]
    freeze: Annotated[bool, Field(description="train nothing of it")] = False
    weights: Annotated[SourceTable | None, Field(description="weights it starts from")] = None
    lr_scale: Annotated[float, Field(gt=0, description="factor of train.lr for it")] = 1.0


class LossTable(Component):
    """A loss, and how much it counts."""

    name: Annotated[Name | None, Field(description="by default the name after `use`")] = None
    weight: Annotated[float, Field(ge=0, description="factor in the sum of losses")] = 1.0


class EvaluateTable(Component):
    """An evaluation after training, by an evaluator."""

    name: Annotated[Name | None, Field(description="by default the name after `use`")] = None
    split: Annotated[Split, Field(description="which samples are scored")] = "test"
    dataset: Annotated[DatasetTable | None, Field(description="other data than the spec's own")] = (
        None
    )
    datasets: Annotated[
        dict[Name, DatasetTable] | None,
        Field(
            min_length=1,
            max_length=1000,
            description="a suite: each of these data is asked by itself, and told with their mean",
        ),
        WithoutEffect(),  # each is asked as `dataset` is
    ] = None
    part_size: Annotated[
        Positive | None,
        Field(
            description="samples of a part, which is what a process that is killed loses; "
            "by default as many as take a minute"
        ),
        WithoutEffect(),
    ] = None


@dataclass(frozen=True)
class Asked:
    """One evaluation: a table of a spec, or one dataset of a table that names a suite of them.

    `table` is as if it named this dataset alone; `position` is the place of the table that is
    written, and `dataset` that of the dataset's table in it. `suite` are the keys of the datasets
    that are asked with it, its own included.
    """

    name: str
    position: int
    table: EvaluateTable
    dataset: tuple[str, ...] = ("dataset",)
    suite: tuple[str, ...] = ()

    @property
    def data(self) -> tuple[str | int, ...]:
        """Where the table of its own dataset is written, if it has one."""
        return ("evaluate", self.position, *self.dataset)


def asked_of(tables: Sequence[EvaluateTable]) -> list[Asked]:
    """The evaluations of a spec's tables, in their order; those of a suite are SUITE/DATASET."""
    return [one for position, table in enumerate(tables) for one in _asked(position, table)]


def _asked(position: int, table: EvaluateTable) -> Iterator[Asked]:
    name = table.name or table.use
    if table.datasets is None:
        yield Asked(name, position, table)
        return
    for key, dataset in table.datasets.items():
        whole = f"{name}{OF_SUITE}{key}"
        single = table.model_copy(update={"name": whole, "dataset": dataset, "datasets": None})
        yield Asked(whole, position, single, ("datasets", key), tuple(table.datasets))


#: The tables of components of which mmlab reads more than `use`, by kind.
READ_BESIDE: Mapping[str, type[Component]] = {
    "dataset": DatasetTable,
    "encoder": EncoderTable,
    "fusion": FusionTable,
    "generator": GeneratorTable,
    "loss": LossTable,
    "evaluator": EvaluateTable,
}


class TrainTable(Table):
    """How the model is trained: how long, how fast, by which optimiser and schedule."""

    epochs: Annotated[Positive | None, Field(description="passes over the training split")] = None
    max_steps: Annotated[Positive | None, Field(description="stop after so many steps")] = None
    batch_size: Annotated[int, Field(ge=1, le=10**7, description="samples per step")]
    microbatch: Annotated[
        Positive | None,
        Field(description="samples encoded at a time, to save memory; same gradients as at once"),
    ] = None
    lr: Annotated[float, Field(gt=0, description="peak learning rate")] = 1e-3
    weight_decay: Annotated[
        float, Field(ge=0, description="of matrices; biases, norms and temperatures have none")
    ] = 0.1
    warmup_fraction: Annotated[
        float, Field(ge=0, le=1, description="share of the steps in which lr rises")
    ] = 0.1
    optimizer: Annotated[Component, Field(description="what changes the weights")] = Component(
        use="adamw"
    )
    schedule: Annotated[Component, Field(description="how the learning rate changes")] = Component(
        use="cosine"
    )
    clip_norm: Annotated[
        float, Field(ge=0, description="largest norm of the gradient; 0 leaves it alone")
    ] = 1.0
    precision: Annotated[
        Literal["auto", "fp32", "bf16"], Field(description="auto: bf16 on CUDA, fp32 elsewhere")
    ] = "auto"
    deterministic: Annotated[
        bool, Field(description="only operations that give the same bits every time")
    ] = False
    ema: Annotated[
        float | None,
        Field(gt=0, lt=1, description="judge and keep an average of the weights of this decay"),
    ] = None
    layer_decay: Annotated[
        float,
        Field(gt=0, le=1, description="factor of lr from each stage of an encoder to that before"),
    ] = 1.0
    checkpoint_activations: Annotated[
        bool,
        Field(description="make activations of encoders anew, to save memory"),
        WithoutEffect(),
    ] = False
    compile: Annotated[bool, Field(description="torch.compile the encoders")] = False
    parallel: Annotated[
        Literal["ddp", "fsdp"],
        Field(description="under torchrun: every process keeps all parameters, or a share of them"),
        WithoutEffect(),
    ] = "ddp"
    workers: Annotated[
        int,
        Field(ge=0, le=10**9, description="processes that read samples: at most 4 for each core"),
        WithoutEffect(),
    ] = 0
    evaluate_every: Annotated[
        Positive, Field(description="epochs between evaluations of the validation split")
    ] = 1
    best: Annotated[
        str, Field(min_length=1, description='which validation metric: "loss" or EVALUATION/METRIC')
    ] = "loss"
    best_mode: Annotated[
        Literal["auto", "min", "max"],
        Field(description="auto: which way the metric is declared to be better"),
    ] = "auto"
    patience: Annotated[
        Positive | None, Field(description="stop after so many evaluations without a better one")
    ] = None
    emit_every: Annotated[
        Positive, Field(description="steps between points of a curve"), WithoutEffect()
    ] = 10
    checkpoint_every: Annotated[
        CheckpointInterval,
        Field(description="steps or time between checkpoints; auto: 1 % of the time goes to them"),
        WithoutEffect(),
    ] = "auto"


class SweepTable(Table):
    """Which cells a spec has: every combination of its axes, each with every seed."""

    strategy: Annotated[
        Literal["grid", "zip", "random"],
        Field(description="all combinations, members side by side, or a sample of combinations"),
    ] = "grid"
    seeds: Annotated[
        list[Seed], Field(min_length=1, description="each point of the sweep runs with each seed")
    ] = [0]
    axes: Annotated[
        dict[str, Annotated[list[object], Field(min_length=1)]],
        Field(description='"dotted.path" = [members]; a member may be a whole table'),
    ] = {}
    samples: Annotated[Cells | None, Field(description="points of a random sweep")] = None
    seed: Annotated[Seed, Field(description="which points a random sweep draws")] = 0
    exclude: Annotated[
        list[dict[str, object]],
        Field(description='points to leave out, each as "dotted.path" = value'),
    ] = []
    include: Annotated[
        list[dict[str, object]],
        Field(description='further points, each as "dotted.path" = value'),
    ] = []
    match: Annotated[
        Literal["parameters"] | None,
        Field(description="set each fusion's width so that its and the head's parameters meet it"),
    ] = None
    budget: Annotated[
        int | None,
        Field(ge=1, le=10**12, description="how many parameters fusion and head may have together"),
    ] = None
    max_cells: Annotated[Cells, Field(description="more cells than this are refused")] = 1000


class Spec(Table):
    """An experiment: what is read, how it is modelled and trained, and how it is judged."""

    schema_version: Annotated[Literal[1], Field(description="of this format"), WithoutEffect()]
    name: Annotated[Name, Field(description="of the experiment")]
    extends: Annotated[
        list[str],
        Field(description="spec files to start from, relative to this one"),
        WithoutEffect(),
    ] = []
    meta: Annotated[
        dict[str, object], Field(description="notes that change nothing"), WithoutEffect()
    ] = {}
    dataset: DatasetTable
    encoders: Annotated[dict[Key, EncoderTable], Field(min_length=1)]
    fusion: FusionTable
    head: Component | None = None
    generator: Annotated[
        GeneratorTable | None, Field(description="what makes samples of a modality"), Added(None)
    ] = None
    losses: list[LossTable] = []
    train: Annotated[TrainTable | None, Field(description="left out: evaluate only")] = None
    evaluate: Annotated[list[EvaluateTable], WithoutEffect()] = []  # each has its own identity
    sweep: Annotated[SweepTable | None, WithoutEffect()] = None  # a cell has its axes applied


class DatasetFile(Table):
    """A file that names a dataset and nothing else."""

    schema_version: Annotated[Literal[1], Field(description="of this format")] = 1
    extends: Annotated[list[str], Field(description="files to start from")] = []
    meta: Annotated[dict[str, object], Field(description="notes that change nothing")] = {}
    dataset: Component


class EvaluationsFile(Table):
    """A file that asks more of finished runs: the part of a spec that judges."""

    schema_version: Annotated[Literal[1], Field(description="of this format")] = 1
    extends: Annotated[list[str], Field(description="files to start from")] = []
    meta: Annotated[dict[str, object], Field(description="notes that change nothing")] = {}
    dataset: Annotated[
        DatasetTable | None, Field(description="what is evaluated on; by default the run's dataset")
    ] = None
    evaluate: Annotated[list[EvaluateTable], Field(min_length=1)]


class PredictionsFile(EvaluationsFile):
    """A file that says what somebody else's model was asked: a dataset, evaluations, or both."""

    evaluate: list[EvaluateTable] = []
