"""Scopes of randomness: what is drawn inside depends on the scope, and changes nothing else."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest
import torch

from mmlab.data.order import derive_seed, preserved_generators, random_scope


def draw() -> tuple[float, float, float]:
    """One number of each ambient generator."""
    return torch.rand(()).item(), float(np.random.rand()), random.random()


def test_a_derived_seed_is_the_first_63_bits_of_a_sha256() -> None:
    digest = hashlib.sha256(b"7:build:encoders.image").digest()
    assert derive_seed(7, "build", "encoders.image") == int.from_bytes(digest[:8], "big") >> 1
    assert derive_seed(7, "sample", 2, 11) == derive_seed(7, "sample", *(2, 11))
    keys = [("build",), ("build", "head"), ("fit", "head"), ("step", 1), ("step", 11), ("ste", 1)]
    assert len({derive_seed(seed, *key) for seed in (0, 1) for key in keys}) == 12


def test_what_is_drawn_in_a_scope_depends_on_nothing_but_the_scope() -> None:
    with random_scope(3, "build", "head"):
        first = draw()
    for _ in range(5):
        draw()
    with random_scope(3, "build", "head"):
        again = draw()
    with random_scope(3, "build", "fusion"):
        other = draw()
    assert first == again
    assert not set(first) & set(other)


def test_scopes_in_scopes_change_nothing_around_them() -> None:
    with random_scope(0, "outer"):
        expected = [draw(), draw()]
    with random_scope(0, "outer"):
        found = [draw()]
        with random_scope(0, "inner"):
            draw()
        found.append(draw())
    assert found == expected


@pytest.mark.parametrize("fails", [False, True])
def test_generators_are_put_back_also_after_an_error(fails: bool) -> None:
    with preserved_generators():
        expected = draw()
    seed = torch.initial_seed()
    try:
        with random_scope(5, "build"):
            draw()
            np.random.seed(1)
            if fails:
                raise OSError("whatever")
    except OSError:
        assert fails
    assert torch.initial_seed() == seed
    assert draw() == expected


@pytest.mark.gpu
def test_generators_of_a_gpu_are_seeded_and_put_back() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    gpu = torch.device("cuda")
    torch.cuda.manual_seed_all(1)
    expected = torch.rand(3, device=gpu)
    torch.cuda.manual_seed_all(1)
    with random_scope(2, "build"):
        first = torch.rand(3, device=gpu)
    assert torch.equal(torch.rand(3, device=gpu), expected)
    with random_scope(2, "build"):
        assert torch.equal(torch.rand(3, device=gpu), first)
