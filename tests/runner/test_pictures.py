"""Small pictures of a run: of all test samples, made once, as far as there is room."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from support.lab import Lab

from mmlab.evaluate import label_results
from mmlab.store.views import sample_pictures

SPEC = (
    '[dataset]\nuse = "emoji"\nlabels = "category"\n',
    '[encoders.image]\nuse = "convnet"\nimage_size = 16\nwidth = 8\nlevels = 1\n',
    '[encoders.text]\nuse = "transformer"\nwidth = 8\ndepth = 1\nheads = 1\nlength = 12\n',
    '[fusion]\nuse = "inner_product"\ndim = 4\n',
    '[[losses]]\nuse = "info_nce"\n',
    "[train]\nmax_steps = 1\nbatch_size = 8\n",
)
ASKED = '[[evaluate]]\nuse = "zero_shot"\n'


def count(lab: Lab) -> int:
    with lab.store() as store:
        return len(store.frame(select(sample_pictures.c.sample)))


@pytest.mark.slow
def test_every_test_sample_has_a_picture_that_no_later_run_makes_again(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[int]()
    real = label_results.small_picture

    def counted(dataset: object, index: int) -> object:
        made.append(index)
        return real(dataset, index)  # type: ignore[arg-type]

    monkeypatch.setattr(label_results, "small_picture", counted)
    detail = sqlite_lab.run_one(sqlite_lab.write("one", (*SPEC, ASKED)))
    samples = detail.evaluations[0].sample_count
    assert count(sqlite_lab) == len(made) == samples > 100
    sqlite_lab.run_one(sqlite_lab.write("two", (*SPEC, ASKED)))
    assert (count(sqlite_lab), len(made)) == (samples, samples)


@pytest.mark.slow
def test_two_databases_with_little_room_keep_pictures_of_the_same_samples(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMLAB_THUMBNAILS", "40 kB")
    sqlite_lab.run_one(sqlite_lab.write("one", (*SPEC, ASKED)))
    kept = count(sqlite_lab)
    assert 5 < kept < 100
    sqlite_lab.run_one(sqlite_lab.write("two", (*SPEC, ASKED, ASKED + 'name = "more"\nk = 3\n')))
    assert count(sqlite_lab) == kept
    none = ASKED + 'name = "none"\ncards = 0\n'
    monkeypatch.setenv("MMLAB_THUMBNAILS", "64 MiB")
    sqlite_lab.run_one(sqlite_lab.write("three", (*SPEC, none)))
    assert count(sqlite_lab) == kept
