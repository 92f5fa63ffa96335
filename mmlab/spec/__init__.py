"""Spec files: read, checked, and expanded into cells. This is the door to the spec's other modules.

    load_spec -> SpecFile -> expand -> cells

What is wrong is reported all at once, each fault at its place in a file or an override.
"""

from mmlab.spec.load import Cell as Cell
from mmlab.spec.load import SpecFile as SpecFile
from mmlab.spec.load import expand as expand
from mmlab.spec.load import load_spec as load_spec
from mmlab.spec.overrides import Override as Override
from mmlab.spec.tables import Asked as Asked
from mmlab.spec.tables import Component as Component
from mmlab.spec.tables import DatasetTable as DatasetTable
from mmlab.spec.tables import EncoderTable as EncoderTable
from mmlab.spec.tables import EvaluateTable as EvaluateTable
from mmlab.spec.tables import FusionTable as FusionTable
from mmlab.spec.tables import GeneratorTable as GeneratorTable
from mmlab.spec.tables import LoraTable as LoraTable
from mmlab.spec.tables import LossTable as LossTable
from mmlab.spec.tables import SourceTable as SourceTable
from mmlab.spec.tables import Spec as Spec
from mmlab.spec.tables import SweepTable as SweepTable
from mmlab.spec.tables import Table as Table
from mmlab.spec.tables import TrainTable as TrainTable
from mmlab.spec.tables import WeightsTable as WeightsTable
from mmlab.spec.tables import WithoutEffect as WithoutEffect
from mmlab.spec.tables import asked_of as asked_of
