"""What test sets, tasks and metrics are called here and by other tools, and what they publish."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmlab.metric import SHARE, Metric, find

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
CLASSIFICATION, RETRIEVAL, PROBE = "zeroshot_classification", "zeroshot_retrieval", "linear_probe"
EVALUATORS = {CLASSIFICATION: "zero_shot", RETRIEVAL: "retrieval", PROBE: "linear_probe"}

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


#: What other tools publish, by our names; what else a file holds is kept and shown without a place.
PUBLISHED = (
    Metric("mAP", "higher", SHARE),
    Metric("top1", "higher", SHARE),
    Metric("top5", "higher", SHARE),
    Metric("recall@{k}", "higher", SHARE),
    Metric(MEAN_RECALL, "higher", SHARE),
    Metric("mean_per_class_recall", "higher", SHARE),
    Metric("median_rank", "lower", "rank"),
    Metric("acc{k}", "higher", SHARE),
    Metric("acc_{groups}", "higher", SHARE),
    Metric("F1-macro_{groups}", "higher", SHARE),
    Metric("jaccard_score_{candidates}", "higher", SHARE),
)


@dataclass(frozen=True)
class NamedMetric:
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


def metric_of(name: str) -> NamedMetric:
    """Our name of CLIP_benchmark's metric.

    >>> metric_of("image_retrieval_recall@5")
    NamedMetric(name='recall@5', condition='text_to_image')
    """
    match = _RETRIEVAL.fullmatch(name)
    if match:
        return NamedMetric(match[2], DIRECTIONS[match[1]])
    return NamedMetric(METRICS.get(name, name))


def is_share(name: str) -> bool:
    """Whether CLIP_benchmark's metric lies in [0, 1] by its definition.

    >>> is_share("lp_acc5"), is_share("image_retrieval_median_rank")
    (True, False)
    """
    found = find(PUBLISHED, metric_of(name).name)
    return found is not None and found[1].is_share


def theirs_of(metric: NamedMetric, task: str) -> str:
    """CLIP_benchmark's name of our metric.

    >>> theirs_of(NamedMetric("top1"), PROBE)
    'lp_acc1'
    """
    for side, condition in DIRECTIONS.items():
        name = f"{side}_retrieval_{metric.name}"
        if metric.condition == condition and _RETRIEVAL.fullmatch(name):
            return name
    is_probe = task == PROBE
    names = [theirs for theirs, ours in METRICS.items() if ours == metric.name]
    fitting = [name for name in names if name.startswith("lp_") == is_probe]
    return fitting[0] if fitting else metric.name


def main_metric_of(test_set: str, evaluator: str) -> str | None:
    """The metric that is quoted for a test set; None for the usual one."""
    if evaluator == EVALUATORS[CLASSIFICATION] and test_set in PER_CLASS:
        return "mean_per_class_recall"
    return None
