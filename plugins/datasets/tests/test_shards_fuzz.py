"""Generated shards against a plain reader: equal samples, or a refusal that names the shard."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmlab_datasets.shards.webdataset import WebDataset
from PIL import Image

from mmlab.plugin import DataError, Sample

EXAMPLES = int(os.environ.get("MMLAB_FUZZ_EXAMPLES", "200"))
LABELS = ["cat", "dog"]
PICTURES = ["jpg", "jpeg", "png", "webp"]


def picture(red: int, kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2), (red, 0, 0)).save(file, kind)
    return file.getvalue()


def npy(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values))
    return file.getvalue()


KINDS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}
CONTENT: Mapping[str, Sequence[bytes]] = {
    **{ending: [picture(red, kind) for red in (0, 90, 250)] for ending, kind in KINDS.items()},
    "txt": [b"a", b"a\nb", b"\xef\xbb\xbfc", b" ", "é".encode(), "é".encode("utf-16"), b"\xe9"],
    "cls": [b"0", b"1\n", b"cat", b"owl", b"7", b"-1", b"9" * 30, b"1.0", b"\xef\xbb\xbf1"],
    "npy": [npy([1, 0]), npy([0.5, 1]), npy([[1, 0]]), npy([1, 0, 1]), npy([0.0] * 20_000)],
    "json": [
        *(b'{"c": "x"}', b'{"c": ["a", "b"], "y": "cat"}', b'{"c": null}', b"{}"),
        *(b'{"c": NaN}', b'{"c": 5}', b'{"c": "\\ud83d"}', b"[1]", b'{"other": NaN, "c": "z"}'),
    ],
}
JUNK = [b"", b"\0", b"\xff\xfe", b"x" * 70_000, b"PK\x03\x04", b"PNG"]
KEYS = ["0", "1", "a/0", "b.c/1", "README", "é", "x y", ".hid", "._0", "__MACOSX/0", "index"]
ENDINGS = [
    *("jpg", "JPG", "png", "jpeg", "webp", "txt", "TXT", "0.txt", "1.txt", "en.txt", "cls"),
    *("npy", "json", "mask.png", "gif", "pth", "", "v2.jpg"),
]


@st.composite
def members(draw: st.DrawFn) -> tuple[str, bytes]:
    """A member with content of its ending, or some other."""
    ending = draw(st.sampled_from(ENDINGS))
    usual = CONTENT.get(ending.lower().rpartition(".")[2], JUNK)
    content = draw(st.sampled_from(usual) if draw(st.integers(0, 19)) else st.sampled_from(JUNK))
    name = draw(st.sampled_from(["", "./"])) + draw(st.sampled_from(KEYS))
    return f"{name}.{ending}" if ending else name, content


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "label_names": st.just(LABELS),
        "text_field": st.just("c"),
        "image_endings": st.sampled_from([["jpg"], ["mask.png"], ["png", "jpg"]]),
        "caption_lines": st.booleans(),
        "modalities": st.sampled_from([["image"], ["text"], ["image", "text"]]),
    },
)


# --- a plain reader ---------------------------------------------------------------------------


def plain_groups(rows: Sequence[tuple[str, bytes]]) -> dict[str, dict[str, bytes]]:
    """The members of each key, without those that a system left."""
    groups: dict[str, dict[str, bytes]] = {}
    for name, content in rows:
        parts = name.removeprefix("./").split("/")
        stem, dot, ending = parts[-1].partition(".")
        if dot and stem and parts[0] != "__MACOSX":
            groups.setdefault("/".join([*parts[:-1], stem]), {})[ending.lower()] = content
    return groups


def is_sample(key: str, found: Mapping[str, bytes], chosen: Sequence[str]) -> bool:
    if key in ("README", "index"):
        return bool(found.keys() & {*PICTURES, "cls"})
    return bool(found.keys() & {*PICTURES, *chosen, "txt", "0.txt", "1.txt", "cls", "json"})


def plain_captions(found: Mapping[str, bytes], options: Mapping[str, Any]) -> tuple[str, ...]:
    if "text_field" in options:
        value = json.loads(found.get("json", b"{}")).get("c") or []
        return (value,) if isinstance(value, str) else tuple(value)
    texts = [found[key].decode("utf-8-sig") for key in ("txt", "0.txt", "1.txt") if key in found]
    if options.get("caption_lines"):
        texts = [line for text in texts for line in text.split("\n")]
    return tuple(text.strip() for text in texts if text.strip())


def plain_label(found: Mapping[str, bytes]) -> tuple[int, ...]:
    if "cls" not in found:
        return ()
    text = found["cls"].decode("utf-8-sig").strip()
    return (LABELS.index(text) if text in LABELS else int(text),)


def check(sample: Sample, found: Mapping[str, bytes], options: Mapping[str, Any]) -> None:
    modalities = options.get("modalities", ["image", "text"])
    endings = [one for one in options.get("image_endings", PICTURES) if one in found]
    assert len(endings) <= 1 or "image" not in modalities
    if "image" in modalities and endings:
        image = sample.values["image"]
        assert isinstance(image, Image.Image)
        expected = Image.open(io.BytesIO(found[endings[0]])).convert("RGB")
        assert image.tobytes() == expected.tobytes()
    else:
        assert "image" not in sample.values
    captions = plain_captions(found, options) if "text" in modalities else ()
    assert sample.values.get("text", ()) == captions
    assert (sample.labels or ()) == (plain_label(found) if "label_names" in options else ())


def read(path: Path, options: Mapping[str, Any]) -> tuple[WebDataset | None, list[Sample], str]:
    """The dataset and its samples, or what it is refused with."""
    try:
        dataset = WebDataset("train", train=path, **options)
        return dataset, [dataset[index] for index in range(len(dataset))], ""
    except DataError as error:
        return None, [], str(error)


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(members(), min_size=1, max_size=8), st.sampled_from([0, 1, 2]), OPTIONS)
def test_a_shard_is_read_as_a_plain_reader_does_or_refused_with_its_name(
    tmp_path: Path, rows: list[tuple[str, bytes]], form: int, options: dict[str, Any]
) -> None:
    with tarfile.open(tmp_path / "s.tar", "w", format=form) as tar:
        for name, content in rows:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    dataset, samples, refusal = read(tmp_path / "s.tar", options)
    if dataset is None:
        assert refusal.startswith(str(tmp_path / "s.tar"))
        return
    chosen = options.get("image_endings", []) if "image" in dataset.modalities else []
    groups = {
        key: found for key, found in plain_groups(rows).items() if is_sample(key, found, chosen)
    }
    assert [sample.id for sample in samples] == [f"s/{key}" for key in groups]
    for sample, found in zip(samples, groups.values(), strict=True):
        check(sample, found, options)
    left_out = len(rows) - sum(map(len, groups.values()))
    assert dataset.notes or not left_out
