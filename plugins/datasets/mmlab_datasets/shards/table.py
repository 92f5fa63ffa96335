"""The samples of one tar as a table: where the picture is, what captions and labels say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import polars as pl

from mmlab.plugin import DataError, explain, open_file
from mmlab_datasets.shards import values
from mmlab_datasets.shards.names import (
    is_document,
    numbered_texts,
    other_pictures,
    other_texts,
    split_name,
)
from mmlab_datasets.shards.reading import PICTURES, Reading
from mmlab_datasets.shards.tars import (
    TEXT_BYTES,
    Member,
    MemberReader,
    Members,
    Unread,
    bad_member,
    list_members,
    unreadable,
)

JSON_BYTES = 1 << 20

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "key": pl.String,
    "picture_offset": pl.Int64,
    "picture_bytes": pl.Int64,
    "picture_hash": pl.Int64,
    "json_offset": pl.Int64,
    "json_bytes": pl.Int64,
    "texts": pl.List(pl.String),
    "label_ids": pl.List(pl.Int64),
    "label_texts": pl.List(pl.String),
    "flag_count": pl.Int64,
    "group": pl.String,
}
_IN_JSON = "an object, its captions a text or a list of some, its label a number or a name"

T = TypeVar("T")


@dataclass(frozen=True)
class Table:
    """The samples of tars by SCHEMA, what a sample lacks as null; and what was not read."""

    frame: pl.DataFrame
    unread: Unread


def read_tar(path: Path, reading: Reading) -> Table:
    """The samples of a tar.

    Raises DataError for a tar that is damaged, and where a member does not say what it should, or
    two could be the picture.
    """
    unread = Unread()
    samples = list_members(path, unread)
    try:
        with open_file(path) as file:
            reader = _SampleReader(MemberReader(path, file), reading, unread)
            rows = [reader.row(key, members) for key, members in samples.items()]
    except OSError as error:
        raise unreadable(path, error) from error
    return Table(pl.DataFrame([row for row in rows if row is not None], schema=SCHEMA), unread)


class _SampleReader:
    """Makes a row of the members of one sample after the other."""

    def __init__(self, members: MemberReader, reading: Reading, unread: Unread) -> None:
        self.members, self.reading, self.unread = members, reading, unread
        self.path = members.path

    def row(self, key: str, members: Members) -> dict[str, object] | None:
        """The row of one key; None where none of its members belongs to a sample."""
        if not self._is_sample(key, members):
            for ending, member in members.items():
                self.unread.add("a document" if is_document(key) else f".{ending}", member.name)
            return None
        fields = self._fields(members)
        row = {"key": key, **self._picture(key, members), **self._labels(members, fields)}
        if "json" in members:
            about = members["json"]
            row |= {"json_offset": about.offset, "json_bytes": about.size}
        row["texts"] = self._texts(members, fields) or None
        row["group"] = self._field(members, fields, values.field_group, self.reading.group_field)
        self._tell_unread(members)
        return row

    def _is_sample(self, key: str, members: Members) -> bool:
        if is_document(key) and not members.keys() & {*PICTURES, "cls"}:
            return False
        reading = self.reading
        known = {*PICTURES, *reading.pictures, *reading.texts, "txt", "cls", "json"}
        known |= {*numbered_texts(members), *(["npy"] if reading.labels == "npy" else [])}
        known |= {*self._unclear_pictures(members), *self._unclear_texts(members)}
        return bool(known & members.keys())

    def _unclear_pictures(self, members: Members) -> list[str]:
        """Endings that could be the picture, unless a spec says which it is."""
        reading = self.reading
        is_clear = reading.pictures_chosen or not reading.pictures
        return [] if is_clear else other_pictures(members.keys() - {*PICTURES})

    def _unclear_texts(self, members: Members) -> list[str]:
        """Endings that could be a caption, unless a spec says which is."""
        reading = self.reading
        is_clear = reading.texts_chosen or not reading.texts or reading.text_field is not None
        return [] if is_clear else other_texts(members.keys() - {"txt", *numbered_texts(members)})

    def _picture(self, key: str, members: Members) -> dict[str, object]:
        found = [ending for ending in self.reading.pictures if ending in members]
        if len(found) > 1:
            raise _two_pictures(self.path, key, [members[ending].name for ending in found])
        if not found:
            unclear = self._unclear_pictures(members)
            if unclear:
                raise _no_picture(self.path, members[unclear[0]].name, unclear[0])
            return {}
        member = members[found[0]]
        return {
            "picture_offset": member.offset,
            "picture_bytes": member.size,
            "picture_hash": self.members.digest(member),
        }

    def _texts(self, members: Members, fields: Mapping[str, object] | None) -> list[str]:
        reading = self.reading
        if reading.text_field is not None:
            return self._field(members, fields, values.field_captions, reading.text_field) or []
        endings = [ending for ending in reading.texts if ending in members]
        if reading.texts and not reading.texts_chosen:
            endings += numbered_texts(members)
        unclear = self._unclear_texts(members)
        if unclear and not endings:
            raise _no_text(self.path, members[unclear[0]].name)
        read = partial(values.read_captions, is_lines=reading.caption_lines)
        found = [self._said(members[ending], read, "UTF-8 text") for ending in endings]
        return [caption for captions in found for caption in captions]

    def _labels(self, members: Members, fields: Mapping[str, object] | None) -> dict[str, object]:
        reading = self.reading
        if reading.labels == "npy" and "npy" in members:
            allowed = "an array of 0 and 1, one for each label"
            ids, count = self._said(members["npy"], values.read_flags, allowed)
            return {"label_ids": ids, "flag_count": count}
        if reading.labels == "json":
            read = partial(values.field_labels, is_several=reading.has_several_labels)
            found = self._field(members, fields, read, reading.label_field)
        elif reading.labels == "cls" and "cls" in members:
            found = self._said(members["cls"], values.read_label, "a whole number, or a name")
        elif reading.labels == "cls" and "npy" in members:
            return {"flag_count": self._flag_count(members["npy"])}
        else:
            return {}
        return {} if found is None else {"label_ids": found[0], "label_texts": found[1]}

    def _flag_count(self, member: Member) -> int | None:
        """For how many labels an array without a `.cls` has a 0 or 1; None for another array."""
        if member.size > TEXT_BYTES:
            return None
        try:
            return values.read_flags(self.members.short(member))[1]
        except ValueError:
            return None

    def _fields(self, members: Members) -> Mapping[str, object] | None:
        if not self.reading.fields or "json" not in members:
            return None
        return self._said(members["json"], values.read_object, _IN_JSON, JSON_BYTES)

    def _field(
        self,
        members: Members,
        fields: Mapping[str, object] | None,
        read: Callable[[Mapping[str, object], str], T],
        name: str | None,
    ) -> T | None:
        """What a field says; None where there is none, or its name is None."""
        if fields is None or name is None:
            return None
        try:
            return read(fields, name)
        except ValueError as error:
            raise bad_member(
                self.path,
                members["json"].name,
                "a field does not say what it should",
                error,
                _IN_JSON,
                "name another field, or write the shard again with null there",
            ) from error

    def _said(
        self, member: Member, read: Callable[[bytes], T], allowed: str, limit: int = TEXT_BYTES
    ) -> T:
        content = self.members.short(member, limit)
        try:
            return read(content)
        except ValueError as error:
            fault = "its content is damaged"
            raise bad_member(self.path, member.name, fault, error, allowed) from error

    def _tell_unread(self, members: Members) -> None:
        """Count the members that a user may think are read."""
        reading = self.reading
        read = {*reading.pictures, *reading.texts, "txt", "json", *numbered_texts(members)}
        read |= {*PICTURES} if not reading.pictures else set()
        read |= {reading.labels}
        for ending in members.keys() - read:
            self.unread.add(f".{ending}", members[ending].name)


def _two_pictures(path: Path, key: str, names: Sequence[str]) -> DataError:
    return DataError(
        explain(
            f"{path}: sample {key!r}",
            "more than one member could be its picture",
            found=", ".join(names),
            allowed="one picture in a sample",
            next_step="say which it is in dataset.image_endings, or write the shard again",
        )
    )


def _no_picture(path: Path, name: str, ending: str) -> DataError:
    is_known = ending.rpartition(".")[2] in PICTURES
    step = f'image_endings = ["{ending}"] in [dataset] reads it, and ["jpg"] leaves it out'
    return bad_member(
        path,
        name,
        "its sample has no picture but this, and its ending is another",
        f".{ending}",
        f"{', '.join(f'.{one}' for one in PICTURES)}; an ending begins at the first dot",
        step
        if is_known
        else 'write it as JPEG, PNG or WebP, or leave it out: image_endings = ["jpg"]',
    )


def _no_text(path: Path, name: str) -> DataError:
    return bad_member(
        path,
        name,
        "its sample has no caption but this, and its ending is another",
        f".{split_name(name)[1]}",
        "KEY.txt, or KEY.0.txt, KEY.1.txt for several captions; an ending begins at the first dot",
        "name its ending in dataset.text_endings, or the member without a further dot",
    )
