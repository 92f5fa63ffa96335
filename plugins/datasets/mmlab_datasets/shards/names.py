"""Names of a tar's members: key and ending, and which members nobody meant to be a sample."""

from __future__ import annotations

from collections.abc import Collection

from mmlab_datasets.shards.reading import PICTURES

#: Endings of pictures, those that are not read included.
_PICTURES = (
    *PICTURES,
    *("avif", "bmp", "gif", "heic", "jfif", "jp2", "jpe", "pgm", "ppm", "tif", "tiff"),
)
#: Files that lie beside data and are none, whatever their ending.
_DOCUMENTS = frozenset(
    {
        *("authors", "changelog", "changes", "citation", "contributing", "copying", "license"),
        *("licence", "notice", "readme"),
        *("classnames", "dataset_type", "nshards", "zeroshot_classification_templates"),
        *("config", "dataset_info", "index", "info", "meta", "metadata", "sizes", "stats"),
    }
)
_CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})


def plain_name(name: str) -> str:
    """A member's name without the `./` that some programs begin all names with."""
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name


def split_name(name: str) -> tuple[str, str]:
    """Key and ending of a member, as webdataset has it: the ending begins at the first dot of the
    last part; "" where there is none.

    >>> split_name("./a.b/0001.seg.PNG")
    ('a.b/0001', 'seg.png')
    """
    folder, slash, last = plain_name(name).rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}{slash}{stem}", ending.lower()


def is_clutter(name: str) -> bool:
    """Whether a member is a program's own note: hidden, or of macOS or Windows.

    >>> [is_clutter(name) for name in (".DS_Store", "a/._1.jpg", "__MACOSX/a/1.jpg", "../1.jpg")]
    [True, True, True, False]
    """
    parts = plain_name(name).split("/")
    return any(
        part.casefold() in _CLUTTER or (part.startswith(".") and part.strip(".")) for part in parts
    )


def is_document(key: str) -> bool:
    """Whether a key is the name of a file about data, such as README or LICENSE."""
    return key.rpartition("/")[2].casefold() in _DOCUMENTS


def other_pictures(endings: Collection[str]) -> list[str]:
    """Endings of what seems to be a picture: `mask.png`, `gif`."""
    return [ending for ending in endings if ending.rpartition(".")[2] in _PICTURES]


def other_texts(endings: Collection[str]) -> list[str]:
    """Endings of what seems to be a caption: `en.txt`."""
    return [ending for ending in endings if ending.endswith(".txt")]


def numbered_texts(endings: Collection[str]) -> list[str]:
    """Endings of several captions, in the order of their numbers.

    >>> numbered_texts({"10.txt", "jpg", "2.txt", "a.txt"})
    ['2.txt', '10.txt']
    """
    numbers = {ending: ending.removesuffix(".txt") for ending in endings if ending.endswith(".txt")}
    found = [ending for ending, number in numbers.items() if _is_number(number)]
    return sorted(found, key=lambda ending: (int(numbers[ending]), ending))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
