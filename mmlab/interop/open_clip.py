"""open_clip's tables of results: CSV, a row per model, a column per test set."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmlab.interop.figures import Figures, File, read_all, read_metric, read_text, unreadable

TOOL = "open-clip"

CLASSIFICATION, RETRIEVAL = "zeroshot_classification", "zeroshot_retrieval"
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
_WINOGAVIL = re.compile(r"WinoGAViL (?:avg )?jaccard score ?[\d-]*")
#: Means over other columns, sizes and costs: nothing that was measured on one test set.
_DERIVED = re.compile(r"Average .*|params \(M\)|FLOPs \(B\)|")


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
    if header[:2] != ["name", "pretrained"]:
        raise unreadable(str(file.path), "its columns are not open_clip's", header[:4])
    columns = {column: _meaning(file, column) for column in header[2:]}
    found: list[Figures] = []
    for number, row in enumerate(rows[1:], start=1):
        place = f"{file.path}: row {number}"
        if len(row) != len(header):
            raise unreadable(place, f"it has not {len(header)} cells", len(row))
        found += _read_row(file, place, dict(zip(header, row, strict=True)), columns)
    return found


def _meaning(file: File, column: str) -> tuple[str, str, str] | None:
    """Dataset, task and metric of a column; None if it is derived from others."""
    if _DERIVED.fullmatch(column):
        return None
    if column in COLUMNS:
        return COLUMNS[column]
    if match := _RECALL.fullmatch(column):
        return COLUMNS[match[1]][0], RETRIEVAL, f"{match[2]}_retrieval_recall@{match[3]}"
    if _WINOGAVIL.fullmatch(column):
        name = column.removeprefix("WinoGAViL ").replace(" ", "_")
        return COLUMNS["WinoGAViL"][0], CLASSIFICATION, name
    raise unreadable(f"{file.path}: column {column!r}", "the column is unknown", column)


def _read_row(
    file: File,
    place: str,
    row: Mapping[str, str],
    columns: Mapping[str, tuple[str, str, str] | None],
) -> list[Figures]:
    """A result per test set: the columns of one test set belong together."""
    model = read_text(place, "name", row["name"])
    pretrained = read_text(place, "pretrained", row["pretrained"])
    found: dict[tuple[str, str], dict[str, float | None]] = {}
    for column, meaning in columns.items():
        if meaning is not None and row[column]:
            dataset, task, metric = meaning
            value = read_metric(f"{place}, column {column!r}", metric, row[column])
            found.setdefault((dataset, task), {})[metric] = value
    return [
        Figures(model, pretrained, dataset, task, metrics, file, place)
        for (dataset, task), metrics in found.items()
    ]
