"""What test sets, tasks and metrics are called here, and what other tools call them."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: CLIP_benchmark's name of a test set -> ours, which spells the split. Others keep their name.
TEST_SETS = {
    "caltech101": "caltech101/all",
    "cifar10": "cifar10/test",
    "cifar100": "cifar100/test",
    "dtd": "dtd/split1-test",
    "eurosat": "eurosat/all",
    "flickr30k": "flickr30k/karpathy-test",
    "flickr8k": "flickr8k/karpathy-test",
    "flowers": "flowers102/test",
    "food101": "food101/test",
    "imagenet1k": "imagenet/validation",
    "imagenet1k-unverified": "imagenet/validation",
    "mnist": "mnist/test",
    "mscoco_captions": "coco-captions/karpathy-test",
    "pets": "pets/test",
    "stl10": "stl10/test",
    "sun397": "sun397/all",
    "vtab/caltech101": "caltech101/vtab-test",
    "vtab/cifar10": "cifar10/test",
    "vtab/cifar100": "cifar100/test",
    "vtab/dtd": "dtd/split1-test",
    "vtab/eurosat": "eurosat/vtab-test",
    "vtab/flowers": "flowers102/test",
    "vtab/pets": "pets/test",
}
#: ... and back, where several of its names mean one test set the one that it recommends.
_NAMES = {ours: theirs for theirs, ours in TEST_SETS.items()} | {
    "cifar10/test": "cifar10",
    "imagenet/validation": "imagenet1k",
}

#: Test sets for which the mean recall of the classes is quoted, as DataComp's list of tasks says.
PER_CLASS = frozenset(
    {"caltech101/all", "caltech101/vtab-test", "fgvc_aircraft", "flowers102/test", "pets/test"}
)

#: CLIP_benchmark's tasks -> our evaluators. Others keep their name.
EVALUATORS = {
    "zeroshot_classification": "zero_shot",
    "zeroshot_retrieval": "retrieval",
    "linear_probe": "linear_probe",
}

#: CLIP_benchmark's metrics -> ours. Others keep their name.
METRICS = {
    "acc1": "top1",
    "acc5": "top5",
    "mean_average_precision": "mAP",
    "lp_acc1": "top1",
    "lp_acc5": "top5",
    "lp_mean_per_class_recall": "mean_per_class_recall",
}
#: Metrics of a direction of retrieval; the median rank is our addition.
_RETRIEVAL = re.compile(r"(image|text)_retrieval_(recall@\d+|median_rank)")
DIRECTIONS = {"image": "text_to_image", "text": "image_to_text"}
MEAN_RECALL = "mean_recall@1"


@dataclass(frozen=True)
class Metric:
    """A metric by our name, and the direction of retrieval it is of, "" if of none."""

    name: str
    condition: str = ""


def test_set_of(dataset: str) -> str:
    """Our name of CLIP_benchmark's dataset; `wds/` only says how it was read.

    >>> test_set_of("wds/vtab/eurosat"), test_set_of("imagenet-a")
    ('eurosat/vtab-test', 'imagenet-a')
    """
    plain = dataset.removeprefix("wds/")
    return TEST_SETS.get(plain, plain)


def dataset_of(test_set: str) -> str:
    """CLIP_benchmark's name of our test set, or the same name where it has none.

    >>> dataset_of("pets/test"), dataset_of("emoji")
    ('vtab/pets', 'emoji')
    """
    return _NAMES.get(test_set, test_set)


def metric_of(name: str) -> Metric:
    """Our name of CLIP_benchmark's metric.

    >>> metric_of("image_retrieval_recall@5")
    Metric(name='recall@5', condition='text_to_image')
    """
    match = _RETRIEVAL.fullmatch(name)
    if match:
        return Metric(match[2], DIRECTIONS[match[1]])
    return Metric(METRICS.get(name, name))


def theirs_of(metric: Metric, task: str) -> str:
    """CLIP_benchmark's name of our metric.

    >>> theirs_of(Metric("top1"), "linear_probe")
    'lp_acc1'
    """
    for side, condition in DIRECTIONS.items():
        name = f"{side}_retrieval_{metric.name}"
        if metric.condition == condition and _RETRIEVAL.fullmatch(name):
            return name
    is_probe = task == "linear_probe"
    names = [theirs for theirs, ours in METRICS.items() if ours == metric.name]
    fitting = [name for name in names if name.startswith("lp_") == is_probe]
    return fitting[0] if fitting else metric.name


def main_metric_of(test_set: str, evaluator: str) -> str | None:
    """The metric that is quoted for a test set; None for the usual one."""
    if evaluator == "zero_shot" and test_set in PER_CLASS:
        return "mean_per_class_recall"
    return None
