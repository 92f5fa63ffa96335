"""The file of a spool: whole records, on the disk when that is said, and damage that is noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.full_disk import largest_file
from support.lab import child_environment
from support.store_values import artifact, evaluation, points

from mmlab.errors import RunError
from mmlab.metric import Metric
from mmlab.records import MetricPoint, SkippedSample
from mmlab.runner.outbox import merged
from mmlab.runner.spool import (
    Fail,
    Finish,
    Header,
    Points,
    Record,
    Release,
    Rewind,
    Spool,
    spool_path,
)
from mmlab.runner.sync import Unreadable, look_into
from mmlab.runner.wire import frame
from mmlab.store import Claim

CLAIM = Claim("a" * 32, 3, "b" * 32, 60.0)
HEADER = Header(
    "database", *("a" * 32, 3, "b" * 32, 60.0), (Metric("train/loss", "lower", "nats"),)
)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(spool_path(tmp_path, CLAIM), HEADER)
    yield made
    made.close()


def point(step: int) -> Points:
    return Points((MetricPoint("train/loss", step, 1 / step),))


def contents(spool: Spool) -> list[Record]:
    return [record for record, _ in spool.read(0, spool.size)]


def test_a_file_is_named_by_its_claim_and_there_with_its_first_record(spool: Spool) -> None:
    assert spool.path.name == f"{'a' * 32}-3-{'b' * 8}.bin"
    assert not spool.path.exists()
    spool.append(Rewind(0))
    assert spool.path.exists()


def test_records_come_back_as_they_were(spool: Spool) -> None:
    skipped = SkippedSample("revision", "train", 4, "four", "truncated")
    result = evaluation()
    finish = Finish((result,), {"zero_shot": "hash"}, (artifact("a"),), {"s": 1.5}, 7, (skipped,))
    plain: list[Record] = [
        Rewind(0),
        Points(tuple(points(1.0, float("inf"), -0.0))),
        Fail("nan", "not finite 🦜", "Traceback"),
        Release("interrupted"),
    ]
    for record in (*plain, finish):
        spool.append(record)

    *others, back = contents(spool)

    assert others == plain
    assert isinstance(back, Finish)
    assert (back.hashes, back.artifacts, back.summary, back.step, back.skipped) == (
        {"zero_shot": "hash"},
        (artifact("a"),),
        {"s": 1.5},
        7,
        (skipped,),
    )
    (read,) = back.evaluations
    assert read.labels == result.labels
    assert result.rankings is not None
    assert read.rankings is not None
    np.testing.assert_array_equal(read.rankings.score, result.rankings.score)
    assert look_into(spool.path).header == HEADER


def test_points_that_follow_each_other_are_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmlab.runner.outbox.BATCH_POINTS", 2)
    records: list[Record] = [point(1), point(2), point(3), Rewind(1), point(2)]

    found = list(merged(zip(records, range(10, 60, 10), strict=True)))

    both = Points((*point(1).points, *point(2).points))
    assert found == [(both, 20), (point(3), 30), (Rewind(1), 40), (point(2), 50)]


RECORDS: list[Record] = [Rewind(0), *map(point, range(1, 5)), Release("interrupted")]


def written(spool: Spool) -> list[int]:
    """Where each of the records ends."""
    ends = []
    for record in RECORDS:
        spool.append(record)
        ends.append(spool.size)
    return ends


def batches(count: int) -> list[Record]:
    """So many of the records, with points that follow each other in one."""
    return [record for record, _ in merged((record, 0) for record in RECORDS[:count])]


def test_of_a_file_that_was_cut_off_the_whole_records_are_read(spool: Spool) -> None:
    ends = written(spool)
    whole, cut_off = spool.path.read_bytes(), spool.path.with_name("cut.bin")
    told = 0
    for cut in range(len(whole)):
        cut_off.write_bytes(whole[:cut])
        try:
            found = look_into(cut_off)
        except Unreadable:
            assert cut < ends[0], "only without its header"
            continue
        count = sum(end <= cut for end in ends)
        assert list(found.records()) == batches(count)
        assert not found.is_sealed
        told += found.damaged_at is not None
    assert told > len(whole) / 4
    assert look_into(spool.path).is_sealed


def test_a_flipped_byte_ends_what_is_read(spool: Spool) -> None:
    ends = written(spool)
    whole, flipped = spool.path.read_bytes(), spool.path.with_name("flipped.bin")
    for place in range(ends[0], len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 16
        flipped.write_bytes(changed)
        found = look_into(flipped)
        count = sum(end <= place for end in ends)
        assert list(found.records()) == batches(count)
        assert (found.is_sealed, found.damaged_at) == (False, ends[count - 1])


def test_a_record_that_is_missing_in_the_middle_ends_what_is_read(spool: Spool) -> None:
    ends = written(spool)
    whole = spool.path.read_bytes()
    gap = spool.path.with_name("gap.bin")
    gap.write_bytes(whole[: ends[1]] + whole[ends[2] :])
    assert list(look_into(gap).records()) == batches(2)


def test_files_of_other_formats_are_left_alone(spool: Spool, tmp_path: Path) -> None:
    later = Spool(tmp_path / "spool" / "later.bin", Header("", "a", 1, "b", 60.0, version=2))
    later.append(Rewind(0))
    later.close()
    with pytest.raises(Unreadable, match="of format 2, and this program knows 1"):
        look_into(later.path)
    for content in (b"", b"notes", bytes(100), frame(b""), frame(b"x" * 9)):
        later.path.write_bytes(content)
        with pytest.raises(Unreadable):
            look_into(later.path)


def test_reading_goes_on_while_others_append(spool: Spool) -> None:
    spool.append(Points(tuple(points(*range(30_000)))))  # more than one buffer
    spool.append(point(1))
    end = spool.size
    reading = spool.read(0, end)
    first, _ = next(reading)
    spool.append(point(2))
    assert isinstance(first, Points)
    assert len(first.points) == 30_000
    assert list(reading) == [(point(1), end)]


def test_what_the_database_has_is_let_go_of(spool: Spool) -> None:
    written(spool)
    spool.empty()
    begin = spool.size
    spool.append(point(7))
    assert contents(spool) == [point(7)]
    assert list(look_into(spool.path).records()) == [point(7)]
    assert spool.path.stat().st_size == spool.size < 2 * begin


def test_an_append_that_was_interrupted_leaves_nothing(spool: Spool) -> None:
    spool.append(point(1))
    with spool.path.open("ab") as file:
        file.write(b"a part of a record, or a whole one")
    spool.append(point(2))
    assert contents(spool) == [point(1), point(2)]


# --- the disk -----------------------------------------------------------------------------------


def test_a_full_disk_is_told_and_what_was_there_stays(spool: Spool) -> None:
    spool.append(point(1))
    with largest_file(spool.size + 20), pytest.raises(RunError) as caught:
        spool.append(point(2))
    assert caught.value.reason == "disk_full"
    assert str(spool.path) in str(caught.value)
    assert f"File too large, at {spool.size / 1e3:.1f} kB" in str(caught.value)
    assert contents(spool) == [point(1)]
    spool.append(point(3))
    assert list(look_into(spool.path).records()) == [Points((*point(1).points, *point(3).points))]


def test_a_disk_that_takes_not_even_the_header_is_told(spool: Spool) -> None:
    with largest_file(20), pytest.raises(RunError, match="cannot be kept"):
        spool.append(point(1))
    assert not spool.path.exists()
    spool.append(point(1))
    assert contents(spool) == [point(1)]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(RunError, match="cannot be kept") as caught:
        Spool(spool_path(tmp_path, CLAIM), HEADER).append(point(1))
    assert caught.value.reason == "error"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system lists no open files")
def test_what_is_said_to_be_kept_is_on_the_disk(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of system calls: write, then fsync of the file, then of the folders with its name.

    Once they have the name, the file alone.
    """
    calls: list[str] = []
    write, fsync = os.write, os.fsync

    def name(file: int) -> str:
        return os.readlink(f"/proc/self/fd/{file}").replace(str(spool.path), "file")

    def noted_write(file: int, content: bytes) -> int:
        calls.append(f"write {name(file)}")
        return write(file, content)

    def noted_fsync(file: int) -> None:
        calls.append(f"fsync {name(file)}")
        fsync(file)

    monkeypatch.setattr(os, "write", noted_write)
    monkeypatch.setattr(os, "fsync", noted_fsync)
    spool.append(point(1))
    spool.sync()
    assert calls == [
        "write file",  # its header
        "write file",
        "fsync file",
        f"fsync {tmp_path / 'spool'}",
        f"fsync {tmp_path}",
    ]
    calls.clear()
    spool.append(point(2))
    assert spool.unsynced == 1
    spool.sync()
    spool.sync()
    assert (calls, spool.unsynced) == (["write file", "fsync file"], 0)


LOCKING = """
import sys
from pathlib import Path
from mmlab.runner.spool import Header, Rewind, Spool
spool = Spool(Path(sys.argv[1]), Header("", "a", 1, "b", 60.0))
spool.append(Rewind(0))
print("there", flush=True)
sys.stdin.read()
"""


def test_a_file_tells_whether_its_process_lives(tmp_path: Path) -> None:
    path = tmp_path / "spool" / "a-1-b.bin"
    command = [sys.executable, "-c", LOCKING, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": child_environment()}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == b"there\n"
        assert look_into(path).is_living
        process.kill()
    assert not look_into(path).is_living
