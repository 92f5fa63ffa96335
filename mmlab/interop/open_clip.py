"""open_clip's tables of results: CSV, a row per model, a column per test set."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmlab.interop.faults import Faults
from mmlab.interop.figures import Figures, File, read_all, read_metric, read_text, unreadable
from mmlab.interop.names import CLASSIFICATION, RETRIEVAL

TOOL = "open-clip"

#: Column -> CLIP_benchmark's name of the test set, where its accuracy is given.
_ACCURACY = {
    "CIFAR-10": "cifar10",
    "CIFAR-100": "vtab/cifar100",
    "CLEVR Counts": "vtab/clevr_count_all",
    "CLEVR Distance": "vtab/clevr_closest_object_distance",
    "Camelyon17": "wilds/camelyon17",
    "Country211": "country211",
    "Describable Textures": "vtab/dtd",
    "EuroSAT": "vtab/eurosat",
    "Food-101": "food101",
    "GTSRB": "gtsrb",
    "ImageNet 1k": "imagenet1k",
    "ImageNet Sketch": "imagenet_sketch",
    "ImageNet v2": "imagenetv2",
    "ImageNet-A": "imagenet-a",
    "ImageNet-O": "imagenet-o",
    "ImageNet-R": "imagenet-r",
    "KITTI Vehicle Distance": "vtab/kitti_closest_vehicle_distance",
    "MNIST": "mnist",
    "ObjectNet": "objectnet",
    "Pascal VOC 2007": "voc2007",
    "PatchCamelyon": "vtab/pcam",
    "RESISC45": "vtab/resisc45",
    "Rendered SST2": "renderedsst2",
    "STL-10": "stl10",
    "SUN397": "sun397",
    "SVHN": "vtab/svhn",
    "Stanford Cars": "cars",
}
#: Column -> test set, task and metric, where DataComp's list of tasks quotes another metric.
_OTHERS = {
    "Caltech-101": ("vtab/caltech101", CLASSIFICATION, "mean_per_class_recall"),
    "FGVC Aircraft": ("fgvc_aircraft", CLASSIFICATION, "mean_per_class_recall"),
    "Oxford Flowers-102": ("vtab/flowers", CLASSIFICATION, "mean_per_class_recall"),
    "Oxford-IIIT Pet": ("vtab/pets", CLASSIFICATION, "mean_per_class_recall"),
    "Flickr": ("flickr30k", RETRIEVAL, "mean_recall@1"),
    "MSCOCO": ("mscoco_captions", RETRIEVAL, "mean_recall@1"),
    "WinoGAViL": ("misc/winogavil", CLASSIFICATION, "jaccard_score_10-12"),
    "iWildCam": ("wilds/iwildcam", CLASSIFICATION, "F1-macro_all"),
    "FMoW": ("wilds/fmow", CLASSIFICATION, "acc_worst_region"),
    "Dollar Street": ("fairness/dollar_street", CLASSIFICATION, "acc_top5_wg"),
    "GeoDE": ("fairness/geode", CLASSIFICATION, "acc_wg"),
}
COLUMNS: Mapping[str, tuple[str, str, str]] = _OTHERS | {
    column: (dataset, CLASSIFICATION, "acc1") for column, dataset in _ACCURACY.items()
}
_RECALL = re.compile(r"(Flickr|MSCOCO) (image|text) retr\. R@(\d+)")
#: Retrieval in other languages: `xtd10 image_retrieval_recall@1 fr`, and means over them.
_SPOKEN = re.compile(r"(\w+) ((?:image|text)_retrieval_recall@\d+) ([a-z]+)")
_WINOGAVIL = re.compile(r"WinoGAViL (?:avg )?jaccard score ?[\d-]*")
#: Means over other columns, sizes and costs: nothing that was measured on one test set.
_DERIVED = re.compile(r"Average .*|params \(M\)|FLOPs \(B\)|avg|.* avg|")
#: How the first two columns are named, in the table of languages otherwise.
_MODELS = (["name", "pretrained"], ["model", "version"])


@dataclass(frozen=True)
class Meaning:
    """What a column states: CLIP_benchmark's names of dataset, task and metric, and a language."""

    dataset: str
    task: str
    metric: str
    language: str = "en"


def read_results(paths: Sequence[Path]) -> list[Figures]:
    """The results in CSV files such as open_clip's `docs/openclip_results.csv`.

    Raises one DataError that holds the faults of all files.
    """
    return read_all(paths, _read)


def _read(file: File) -> list[Figures]:
    try:
        rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise unreadable(str(file.path), "it is no CSV in UTF-8", error) from error
    header = rows[0] if rows else []
    if header[:2] not in _MODELS:
        raise unreadable(str(file.path), "its columns are not open_clip's", header[:4])
    found, columns, faults = list[Figures](), dict[str, Meaning | None](), Faults()
    for column in header[2:]:
        with faults.kept():
            columns[column] = _meaning(file, column)
    for number, row in enumerate(rows[1:], start=1):
        with faults.kept():
            found += _read_row(file, f"{file.path}: row {number}", header, row, columns)
    faults.raise_all()
    return found


def _meaning(file: File, column: str) -> Meaning | None:
    """What a column states; None if it is derived from others."""
    if _DERIVED.fullmatch(column):
        return None
    if column in COLUMNS:
        return Meaning(*COLUMNS[column])
    if match := _RECALL.fullmatch(column):
        metric = f"{match[2]}_retrieval_recall@{match[3]}"
        return Meaning(COLUMNS[match[1]][0], RETRIEVAL, metric)
    if match := _SPOKEN.fullmatch(column):
        return Meaning(match[1], RETRIEVAL, match[2], match[3])
    if _WINOGAVIL.fullmatch(column):
        name = column.removeprefix("WinoGAViL ").replace(" ", "_")
        return Meaning(COLUMNS["WinoGAViL"][0], CLASSIFICATION, name)
    raise unreadable(f"{file.path}: column {column!r}", "the column is unknown", column)


def _read_row(
    file: File,
    place: str,
    header: Sequence[str],
    cells: Sequence[str],
    columns: Mapping[str, Meaning | None],
) -> list[Figures]:
    """A result per test set and language: the columns of one belong together."""
    if len(cells) != len(header):
        raise unreadable(place, f"it has not {len(header)} cells", len(cells))
    row, names, faults = dict(zip(header, cells, strict=True)), list[str](), Faults()
    for name in header[:2]:
        with faults.kept():
            names.append(read_text(place, name, row[name]))
    found: dict[tuple[str, str, str], dict[str, float | None]] = {}
    for column, meaning in columns.items():
        if meaning is not None and row[column]:
            subject = (meaning.dataset, meaning.task, meaning.language)
            with faults.kept():
                value = read_metric(f"{place}, column {column!r}", meaning.metric, row[column])
                found.setdefault(subject, {})[meaning.metric] = value
    faults.raise_all()
    model, pretrained = names
    return [
        Figures(model, pretrained, dataset, task, metrics, file, place, language)
        for (dataset, task, language), metrics in found.items()
    ]
