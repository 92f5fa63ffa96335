"""Files of features: whole or not there, checked before they are used, made by one process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from support.full_disk import largest_file

from mmlab.data.tables import Damaged, FeatureTable, locked, read_table, write_table
from mmlab.plugin import Features

ABOUT = {"dataset": {"split": "train"}}


def table(value: float = 0.5, rows: int = 65) -> FeatureTable:
    features = Features.of(torch.full((rows, 4), value), torch.rand(rows, 3, 2))
    return FeatureTable(features, torch.arange(rows))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_table_comes_back_bit_by_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    made = table()
    made = FeatureTable(made.features.map(lambda x: x.to(dtype) if x.ndim > 1 else x), made.starts)
    write_table(tmp_path / "a.safetensors", made, ABOUT)
    found = read_table(tmp_path / "a.safetensors")
    assert found is not None
    assert found.features.pooled.dtype == dtype
    assert torch.equal(found.features.pooled, made.features.pooled)
    assert found.features.tokens is not None
    assert made.features.tokens is not None
    assert torch.equal(found.features.tokens, made.features.tokens)
    assert found.features.mask is None
    assert found.starts.tolist() == made.starts.tolist()
    assert files(tmp_path) == ["a.safetensors"]


def test_a_file_is_mapped_and_not_read_into_memory(tmp_path: Path) -> None:
    write_table(tmp_path / "a.safetensors", table(rows=1 << 20), ABOUT)
    found = read_table(tmp_path / "a.safetensors")
    assert found is not None
    mapped = Path("/proc/self/maps").read_text()
    assert "a.safetensors" in mapped


def test_there_is_no_table_where_there_is_no_file(tmp_path: Path) -> None:
    assert read_table(tmp_path / "a.safetensors") is None


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_file_cut_short_is_damaged(tmp_path: Path, part: float) -> None:
    path = tmp_path / "a.safetensors"
    write_table(path, table(), ABOUT)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(Damaged):
        read_table(path)


def test_a_file_with_one_bit_turned_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_table(path, table(), ABOUT)
    content = bytearray(path.read_bytes())
    for place in (len(content) - 1, len(content) - 700, len(content) // 2):
        turned = content.copy()
        turned[place] ^= 1
        path.write_bytes(turned)
        with pytest.raises(Damaged, match="not those that were written"):
            read_table(path)


@pytest.mark.slow
def test_a_header_with_any_byte_altered_is_damaged_or_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    made = table(rows=2)
    write_table(path, made, ABOUT)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    damaged = 0
    for place in range(header):
        for other in (content[place] ^ 1, ord('"')):
            path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
            try:
                found = read_table(path)
            except Damaged:
                damaged += 1
                continue
            assert isinstance(found, FeatureTable)
            assert torch.equal(found.features.pooled, made.features.pooled)
            assert torch.equal(found.starts, made.starts)
    assert damaged > header


@pytest.mark.parametrize("facts", ['{"about', "[1]", '"text"', "null", "[" * 100_000])
def test_a_header_that_says_something_else_is_damaged(tmp_path: Path, facts: str) -> None:
    from safetensors.torch import save_file

    save_file({"starts": torch.zeros(3)}, tmp_path / "a.safetensors", {"mmlab": facts})
    with pytest.raises(Damaged):
        read_table(tmp_path / "a.safetensors")


def test_another_file_of_tensors_is_damaged(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, tmp_path / "a.safetensors")
    with pytest.raises(Damaged):
        read_table(tmp_path / "a.safetensors")


@pytest.mark.parametrize("size", [0, 8, 1000, 2000])
def test_a_full_disk_leaves_what_stood_there_and_nothing_else(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.safetensors"
    write_table(path, table(0.25), ABOUT)
    with largest_file(size), pytest.raises(OSError, match="too large"):
        write_table(path, table(0.5), ABOUT)
    found = read_table(path)
    assert found is not None
    assert float(found.features.pooled[0, 0]) == 0.25
    assert files(tmp_path) == ["a.safetensors"]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"[Nn]o such file"):
        write_table(tmp_path / "missing" / "a.safetensors", table(), ABOUT)


def _make(path: Path, log: Path, kill: bool) -> None:
    with locked(path):
        if read_table(path) is None:
            with log.open("a") as file:
                file.write("made\n")
            time.sleep(0.3)
            if kill:
                os.kill(os.getpid(), signal.SIGKILL)
            write_table(path, table(), ABOUT)


def _start(path: Path, log: Path, *, kill: bool = False) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_make, args=(path, log, kill))
    process.start()
    return process


@pytest.mark.slow
def test_of_several_processes_one_makes_the_file_and_the_others_wait(tmp_path: Path) -> None:
    path, log = tmp_path / "a.safetensors", tmp_path / "log"
    processes = [_start(path, log) for _ in range(4)]
    for process in processes:
        process.join()
    assert log.read_text() == "made\n"
    assert read_table(path) is not None
    assert files(tmp_path) == ["a.safetensors", "log"]


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_the_lock_to_the_next(tmp_path: Path) -> None:
    path, log = tmp_path / "a.safetensors", tmp_path / "log"
    killed = _start(path, log, kill=True)
    time.sleep(0.1)
    second = _start(path, log)
    killed.join()
    second.join()
    assert killed.exitcode == -signal.SIGKILL
    assert log.read_text() == "made\nmade\n"
    assert read_table(path) is not None
    assert files(tmp_path) == ["a.safetensors", "log"]


def test_one_that_waited_for_a_removed_lock_does_not_share_the_next(tmp_path: Path) -> None:
    """A holder takes the lock's file away; who waited for it must not hold what is gone."""
    path, held = tmp_path / "a.safetensors", []

    def hold(name: str) -> None:
        with locked(path):
            held.append(name)
            assert held == [name]
            time.sleep(0.01)
            held.remove(name)

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(hold, str(number)) for number in range(8)]
    assert [each.exception() for each in done] == [None] * 8
    assert files(tmp_path) == []


def test_where_there_can_be_no_lock_the_work_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with locked(tmp_path / "file" / "a.safetensors"):
        assert not (tmp_path / "file" / ".a.lock").exists()
    assert files(tmp_path) == ["file"]
