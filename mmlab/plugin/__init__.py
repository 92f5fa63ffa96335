"""The one public door for plugins: hooks, contracts, and the values that pass between components.

A plugin distribution has an entry point in the group `mmlab` naming a module whose hook functions
return `{"name used in TOML": "package.module:Factory"}`:

    from mmlab.plugin import hookimpl

    @hookimpl
    def mmlab_encoders() -> dict[str, str]:
        return {"vit": "mmlab_encoders.vit:ViT"}

A factory's positional parameters are what mmlab supplies (it names those it wants, see SUPPLIED);
its keyword-only parameters are the options a spec may set, annotated as pydantic reads them. One
that is added after a release is marked `Added`. A factory may declare `numerics`, an integer that
its author raises when the same options give other numbers: it then identifies what the component
computes in place of its distribution's version. A subclass is another component with its own.
Components are `torch.nn.Module`s (datasets are not); anything that must survive in a checkpoint is
a parameter, a buffer or the extra state of the module. Plugins draw randomness from torch's ambient
generator and never seed it. Importing this module does not import torch. `Box`, `Boxes`,
`Placement`, `Generator`, `LabelMetric` and `ScoredSamples` are imported when first used: few
experiments have them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mmlab.errors import DataError as DataError
from mmlab.errors import PluginError as PluginError
from mmlab.errors import SpecError as SpecError
from mmlab.errors import WeightsError as WeightsError
from mmlab.errors import explain as explain
from mmlab.errors import message_of as message_of
from mmlab.files import Scratch as Scratch
from mmlab.files import atomic_file as atomic_file
from mmlab.files import check_zip as check_zip
from mmlab.files import decode_text as decode_text
from mmlab.files import file_sha256 as file_sha256
from mmlab.files import kind_at as kind_at
from mmlab.files import open_file as open_file
from mmlab.files import read_file as read_file
from mmlab.files import tree_sha256 as tree_sha256
from mmlab.metric import LOSS as LOSS
from mmlab.metric import SHARE as SHARE
from mmlab.metric import Metric as Metric
from mmlab.plugin.contracts import LARGEST_SIZE as LARGEST_SIZE
from mmlab.plugin.contracts import RESERVED_OPTIONS as RESERVED_OPTIONS
from mmlab.plugin.contracts import SPLITS as SPLITS
from mmlab.plugin.contracts import SUPPLIED as SUPPLIED
from mmlab.plugin.contracts import Added as Added
from mmlab.plugin.contracts import Augmented as Augmented
from mmlab.plugin.contracts import Boxed as Boxed
from mmlab.plugin.contracts import Calibrated as Calibrated
from mmlab.plugin.contracts import Context as Context
from mmlab.plugin.contracts import Dataset as Dataset
from mmlab.plugin.contracts import Dense as Dense
from mmlab.plugin.contracts import Encode as Encode
from mmlab.plugin.contracts import Encoder as Encoder
from mmlab.plugin.contracts import EncoderKey as EncoderKey
from mmlab.plugin.contracts import Fitted as Fitted
from mmlab.plugin.contracts import Fusion as Fusion
from mmlab.plugin.contracts import Inquiring as Inquiring
from mmlab.plugin.contracts import Loss as Loss
from mmlab.plugin.contracts import Measured as Measured
from mmlab.plugin.contracts import Nested as Nested
from mmlab.plugin.contracts import NestedComponent as NestedComponent
from mmlab.plugin.contracts import Noted as Noted
from mmlab.plugin.contracts import Outlined as Outlined
from mmlab.plugin.contracts import Placing as Placing
from mmlab.plugin.contracts import Pretrained as Pretrained
from mmlab.plugin.contracts import Prompted as Prompted
from mmlab.plugin.contracts import Proposing as Proposing
from mmlab.plugin.contracts import Published as Published
from mmlab.plugin.contracts import ReadTogether as ReadTogether
from mmlab.plugin.contracts import Sectioned as Sectioned
from mmlab.plugin.contracts import SimilarityFusion as SimilarityFusion
from mmlab.plugin.contracts import Size as Size
from mmlab.plugin.contracts import Split as Split
from mmlab.plugin.contracts import Staged as Staged
from mmlab.plugin.contracts import Stepped as Stepped
from mmlab.plugin.contracts import Surveyed as Surveyed
from mmlab.plugin.contracts import Targeted as Targeted
from mmlab.plugin.contracts import Tokenized as Tokenized
from mmlab.plugin.contracts import Traced as Traced
from mmlab.plugin.contracts import Trimmed as Trimmed
from mmlab.plugin.contracts import VectorFusion as VectorFusion
from mmlab.plugin.hooks import GROUP as GROUP
from mmlab.plugin.hooks import KINDS as KINDS
from mmlab.plugin.hooks import Hooks as Hooks
from mmlab.plugin.hooks import hookimpl as hookimpl
from mmlab.plugin.hooks import hookspec as hookspec
from mmlab.plugin.values import GENERATED as GENERATED
from mmlab.plugin.values import Batch as Batch
from mmlab.plugin.values import Calibration as Calibration
from mmlab.plugin.values import Condition as Condition
from mmlab.plugin.values import Features as Features
from mmlab.plugin.values import Generation as Generation
from mmlab.plugin.values import Origin as Origin
from mmlab.plugin.values import Outputs as Outputs
from mmlab.plugin.values import Sample as Sample
from mmlab.plugin.values import Scores as Scores
from mmlab.plugin.values import Shapes as Shapes
from mmlab.plugin.values import Similarity as Similarity
from mmlab.plugin.values import Source as Source
from mmlab.plugin.values import Survey as Survey
from mmlab.plugin.values import Vocabulary as Vocabulary
from mmlab.plugin.values import normalize as normalize

__all__ = [
    "GENERATED",
    "GROUP",
    "KINDS",
    "LARGEST_SIZE",
    "LOSS",
    "RESERVED_OPTIONS",
    "SHARE",
    "SPLITS",
    "SUPPLIED",
    "Added",
    "Augmented",
    "Batch",
    "Box",
    "Boxed",
    "Boxes",
    "Calibrated",
    "Calibration",
    "Condition",
    "Context",
    "DataError",
    "Dataset",
    "Dense",
    "Encode",
    "Encoder",
    "EncoderKey",
    "Features",
    "Fitted",
    "Fusion",
    "Generation",
    "Generator",
    "Hooks",
    "Inquiring",
    "LabelMetric",
    "Loss",
    "Measured",
    "Metric",
    "Nested",
    "NestedComponent",
    "Noted",
    "Origin",
    "Outlined",
    "Outputs",
    "Placement",
    "Placing",
    "PluginError",
    "Pretrained",
    "Prompted",
    "Proposing",
    "Published",
    "ReadTogether",
    "Sample",
    "ScoredSamples",
    "Scores",
    "Scratch",
    "Sectioned",
    "Shapes",
    "Similarity",
    "SimilarityFusion",
    "Size",
    "Source",
    "SpecError",
    "Split",
    "Staged",
    "Stepped",
    "Survey",
    "Surveyed",
    "Targeted",
    "Tokenized",
    "Traced",
    "Trimmed",
    "VectorFusion",
    "Vocabulary",
    "WeightsError",
    "atomic_file",
    "check_zip",
    "decode_text",
    "explain",
    "file_sha256",
    "hookimpl",
    "hookspec",
    "kind_at",
    "message_of",
    "normalize",
    "open_file",
    "read_file",
    "tree_sha256",
]

_LAZY = {
    "Box": "boxes",
    "Boxes": "boxes",
    "Placement": "boxes",
    "Generator": "generation",
    "LabelMetric": "metrics",
    "ScoredSamples": "metrics",
}

if TYPE_CHECKING:
    from mmlab.plugin.boxes import Box as Box
    from mmlab.plugin.boxes import Boxes as Boxes
    from mmlab.plugin.boxes import Placement as Placement
    from mmlab.plugin.generation import Generator as Generator
    from mmlab.plugin.metrics import LabelMetric as LabelMetric
    from mmlab.plugin.metrics import ScoredSamples as ScoredSamples
else:

    def __getattr__(name: str) -> object:
        """What concerns boxes, generation or metrics, imported on first use (PEP 562)."""
        if name not in _LAZY:
            raise AttributeError(f"module 'mmlab.plugin' has no attribute {name!r}")
        return getattr(import_module(f"mmlab.plugin.{_LAZY[name]}"), name)
