"""Evaluators: what a model knows about one split of one dataset, as values the store can keep.

A split is encoded once (`encode_split`) and shared by every evaluator. An evaluator is a class
whose keyword-only parameters are its options, with a `version` that changes when its numbers would,
what it `needs` of the model, a `check` of all that can be wrong before any sample is read, and a
call that gives results. Its name in a spec is given in mmlab/plan/registry.py.
"""

from mmlab.evaluate.encode import Encoded as Encoded
from mmlab.evaluate.encode import encode_split as encode_split
from mmlab.evaluate.evaluator import Evaluator as Evaluator
from mmlab.evaluate.evaluator import Learner as Learner
from mmlab.evaluate.evaluator import learnt_splits as learnt_splits
from mmlab.evaluate.subject import EvaluatedModel as EvaluatedModel
