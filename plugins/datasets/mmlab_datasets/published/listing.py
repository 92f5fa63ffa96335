"""What a reader makes of a folder: the samples of one split in order, and how to see each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from mmlab.plugin import DataError, Split, decode_text, explain, read_file
from mmlab_datasets.media import read_picture
from mmlab_datasets.published.catalogue import Description, TestSet
from mmlab_datasets.texts import read_lines as text_lines

#: Names of missing files that a message shows.
SHOWN = 3


@dataclass(frozen=True)
class Folder:
    """A dataset's folder as the user names it; `is_part` where some of its pictures may lack."""

    name: str
    path: Path
    description: Description
    test_set: TestSet
    is_part: bool

    @property
    def root(self) -> Path:
        """The folder that the archive unpacks to: the named one, or the one within."""
        inner = self.path / self.description.folder
        return inner if os.path.isdir(inner) else self.path

    def incomplete(self, fault: str, found: object, allowed: str) -> DataError:
        """The error for what lacks, with what to fetch."""
        description = self.description
        return DataError(
            explain(
                f"{self.name} in {self.path}",
                fault,
                found=found,
                allowed=allowed,
                next_step=f"{description.hint}, from {description.url}",
            )
        )

    def missing(self, names: Sequence[str]) -> DataError:
        """The error for files that are not there."""
        shown = ", ".join(names[:SHOWN])
        more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
        return self.incomplete("the folder is incomplete", f"no {shown}{more}", "all files")


@dataclass(frozen=True)
class Listing:
    """The samples of a split. `content` identifies their pictures, without their place.

    `lacking` is the number of pictures that a list names and that are not there.
    """

    ids: Sequence[str]
    labels: Sequence[int]
    picture: Callable[[int], Image.Image]
    content: str
    lacking: int = 0


def list_files(folder: Folder, split: Split, items: Sequence[tuple[str, int]]) -> Listing:
    """A listing of picture files below the root, given as (path, label).

    Raises DataError where files are missing, unless a part is enough: then they are left out. The
    content is each file's size.
    """
    root = folder.root
    sizes = [_size(root / name) for name, _ in items]
    missing = [name for (name, _), size in zip(items, sizes, strict=True) if size < 0]
    if missing and not folder.is_part:
        raise folder.missing(missing)
    repeated = [name for name, count in Counter(name for name, _ in items).items() if count > 1]
    if repeated:
        fault = "a picture is listed twice"
        raise folder.incomplete(fault, ", ".join(repeated[:SHOWN]), "every picture once")
    kept = [(*item, size) for item, size in zip(items, sizes, strict=True) if size >= 0]
    require_count(folder, split, len(kept))
    names = [name for name, _, _ in kept]
    labels = [label for _, label, _ in kept]
    picture = partial(_picture, folder.name, root, names)
    content = "\n".join(str(size) for _, _, size in kept)
    return Listing(names, labels, picture, content, len(missing))


def _picture(test_set: str, root: Path, names: Sequence[str], index: int) -> Image.Image:
    return read_picture(root / names[index], f"{test_set}: {names[index]}")


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):  # a NUL in the name
        return -1


def require_count(folder: Folder, split: Split, count: int) -> None:
    """Raise DataError unless a split has as many samples as are published of it, or some of them.

    Where a part is enough, no sample at all is one too few for the split that is judged.
    """
    wanted = folder.test_set.counts.get(split, 0)
    is_enough = 0 < count <= wanted or not wanted if folder.is_part else count == wanted
    if not is_enough:
        raise folder.incomplete(
            f"the split {split} is incomplete" if count < wanted else f"the split {split} differs",
            f"{count:,} pictures",
            f"{wanted:,} pictures" + (", or some of them" if folder.is_part else ""),
        )


def read_lines(folder: Folder, name: str) -> list[str]:
    """The lines of a text file below the root that are neither empty nor comments."""
    try:
        lines = text_lines(decode_text(read_file(folder.root / name)))
    except OSError as error:
        raise folder.missing([name]) from error
    except ValueError as error:
        raise folder.incomplete(f"{name} is damaged", error, "UTF-8 text") from error
    return [line for line in lines if line and not line.startswith("#")]
