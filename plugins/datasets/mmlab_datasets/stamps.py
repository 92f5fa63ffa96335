"""The files of Tux Paint's stamps: pictures, captions in many languages, and spoken captions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmlab.plugin import DataError, decode_text, explain, open_file
from mmlab_datasets.texts import read_lines

#: Tux Paint writes English first and without a code.
ENGLISH = "en"
#: Bytes of the largest file of captions; the largest of the package has 9,000.
CAPTION_BYTES = 1 << 18

#: Endings of files that are other drawings of a stamp, shown when it is turned over.
_TURNED = ("_mirror", "_flip", "_mirror_flip")


@dataclass(frozen=True, slots=True)
class Stamp:
    """One stamp: its name below the root without ending, captions and speech by language.

    `sizes` are the bytes of its picture, its captions and its speech, in a fixed order.
    """

    name: str
    captions: dict[str, str]
    speech: dict[str, str]
    sizes: tuple[int, ...]

    @property
    def folder(self) -> str:
        """The outermost folder: what kind of thing this is."""
        return self.name.partition("/")[0]


def read_stamps(root: Path) -> list[Stamp]:
    """Every stamp with a PNG, by name. Raises DataError where there is none, or a caption's fault.

    Stamps drawn as SVG alone are left out, and so are the turned drawings of other stamps.
    """
    stamps = [stamp for folder in _folders(root) for stamp in _stamps_of(root, folder)]
    if stamps:
        return sorted(stamps, key=lambda stamp: stamp.name)
    raise DataError(
        explain(
            str(root),
            "there are no stamps",
            found="no folder" if not os.path.isdir(root) else "no .png files in folders below it",
            allowed="the folder `stamps` of Tux Paint",
            next_step="apt install tuxpaint-stamps-default, or set dataset.path",
        )
    )


def languages(stamps: Sequence[Stamp], what: str) -> list[str]:
    """The languages of captions or speech, those of most stamps first."""
    counts: dict[str, int] = {}
    for stamp in stamps:
        for language in stamp.captions if what == "captions" else stamp.speech:
            counts[language] = counts.get(language, 0) + 1
    return sorted(counts, key=lambda language: (-counts[language], language))


def _refuse(error: OSError) -> None:
    """A folder that may not be entered is told; where there is none, others say so."""
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _folders(root: Path) -> Iterator[Path]:
    """All folders below the root; links are not followed, for they may lead out of it."""
    for folder, _, _ in os.walk(root, onerror=_refuse):
        if Path(folder) != root:
            yield Path(folder)


def _stamps_of(root: Path, folder: Path) -> Iterator[Stamp]:
    with os.scandir(folder) as entries:
        sizes = {
            entry.name: entry.stat(follow_symlinks=False).st_size
            for entry in sorted(entries, key=lambda entry: entry.name)
            if entry.is_file(follow_symlinks=False)
        }
    speech: dict[str, dict[str, str]] = {}
    for file in sizes:
        stem, _, ending = file.rpartition(".")
        stamp, mark, language = stem.partition("_desc")
        if mark and ending in ("ogg", "wav"):
            speech.setdefault(stamp, {})[language.removeprefix("_") or ENGLISH] = file
    for file in sizes:
        stem, _, ending = file.rpartition(".")
        if ending != "png" or stem.endswith(_TURNED):
            continue
        captions = read_captions(folder / f"{stem}.txt") if f"{stem}.txt" in sizes else {}
        spoken = speech.get(stem, {})
        own = [file, f"{stem}.txt", *(spoken[language] for language in sorted(spoken))]
        name = (folder / stem).relative_to(root).as_posix()
        yield Stamp(name, captions, spoken, tuple(sizes.get(one, -1) for one in own))


def read_captions(file: Path) -> dict[str, str]:
    """Captions by language: English in the first line, then `code.utf8=caption`.

    Raises DataError for a file that is too large or no UTF-8.
    """
    try:
        with open_file(file) as content:
            text = content.read(CAPTION_BYTES + 1)
        if len(text) > CAPTION_BYTES:
            raise ValueError(f"more than {CAPTION_BYTES:,} bytes")
        first, *others = read_lines(decode_text(text))
    except (OSError, ValueError) as error:
        raise DataError(
            explain(
                str(file),
                "the captions cannot be read",
                found=error,
                allowed=f"UTF-8 text of at most {CAPTION_BYTES:,} bytes",
                next_step="install the package again, or correct the file",
            )
        ) from error
    pairs = [(ENGLISH, first)]
    for line in others:
        code, mark, caption = line.partition(".utf8=")
        pairs += [(code.strip(), caption)] if mark else []
    return {code: caption.strip() for code, caption in pairs if caption.strip()}
