"""AV-MNIST from local files: handwritten digits, each paired with a spoken one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from mmlab.plugin import DataError, Origin, Sample, Size, Source, Split, explain, open_file
from mmlab_datasets.idx import read_idx
from mmlab_datasets.sound import read_sound

Pictures = npt.NDArray[np.uint8]
Speakers = Annotated[Sequence[str], Field(min_length=1)]

_NAME = re.compile(r"(?P<digit>[0-9])_(?P<speaker>[a-z]+)_(?P<take>[0-9]+)\.wav")
_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A recording and the picture it is paired with, a row of its file."""

    recording: str
    digit: int
    picture: int


class AvMnist:
    """A digit written (image, 28 x 28) and spoken (audio) by two people: ten labels.

    Speakers are in one split only, and so are pictures: MNIST's test pictures are for test. Every
    recording is paired with `pictures` pictures of its digit, drawn without repeats by `seed`.

    Either modality can be made poorer. `image_energy` keeps that share of the variance of MNIST's
    training pictures, in its leading principal components (the published AV-MNIST, Vielzeuf et al.,
    arXiv:1808.07275, keeps a quarter); `sound_snr_db` adds white noise so many decibels below
    the recording's power, the same to a sample every time.
    Raises DataError for files that are not there or not what they are called.
    """

    numerics = 1
    modalities: tuple[str, ...] = ("image", "audio")
    labels: tuple[str, ...] = tuple("0123456789")
    templates: tuple[str, ...] = ("{}", "the digit {}.")
    is_multi_label = False

    def __init__(
        self,
        split: Split,
        *,
        images: Annotated[Path, Field(description="folder of MNIST's four .gz files")],
        sounds: Annotated[Path, Field(description="folder of {digit}_{speaker}_{n}.wav")],
        validation_speakers: Annotated[
            Speakers, Field(description="speakers of the validation split")
        ] = ("theo",),
        test_speakers: Annotated[Speakers, Field(description="speakers of the test split")] = (
            "yweweler",
        ),
        pictures: Annotated[Size, Field(description="pictures paired with a recording")] = 1,
        image_energy: Annotated[
            float, Field(gt=0, le=1, description="share of the pictures' variance to keep")
        ] = 1.0,
        sound_snr_db: Annotated[
            float | None, Field(description="decibels from white noise up to the recording")
        ] = None,
        seed: Annotated[int, Field(ge=0, description="of the pairing and the noise")] = 0,
    ) -> None:
        recordings = _recordings(sounds)
        held_out = {"validation": validation_speakers, "test": test_speakers}
        chosen = _of_split(split, recordings, held_out, sounds)
        part = "test" if split == "test" else "train"
        digits = read_idx(images / _FILES[part][1], 1)
        self._pairs = _pair(split, chosen, digits, pictures, seed)
        pixels = _checked(read_idx(images / _FILES[part][0], 3), len(digits), images)
        self._pictures = pixels[[pair.picture for pair in self._pairs]]
        if image_energy < 1:
            basis = pixels if part == "train" else read_idx(images / _FILES["train"][0], 3)
            self._pictures = reduced(self._pictures, basis, image_energy)
        self._sounds = sounds
        self._snr_db = sound_snr_db
        self._seed = seed
        self._sizes = {name: (sounds / name).stat().st_size for name in recordings}
        content = [
            sorted(self._sizes.items()),
            [(images / name).stat().st_size for names in _FILES.values() for name in names],
            [*map(list, held_out.values())],
            [pictures, image_energy, sound_snr_db, seed],
        ]
        self.revision = f"av-mnist-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]}"

    def __len__(self) -> int:
        """Number of pairs in the split."""
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        """One pair; its id names the recording and the picture's row in its file."""
        pair = self._pairs[index]
        file = self._sounds / pair.recording
        wave, rate = read_sound(file, str(file))
        sample = self.outline(index)
        if self._snr_db is not None:
            wave = wave + noise(wave, self._snr_db, f"{self._seed}:{sample.id}")
        picture = Image.fromarray(self._pictures[index]).convert("RGB")
        return replace(sample, values={"image": picture, "audio": (wave, rate)})

    def outline(self, index: int) -> Sample:
        """One pair without its files."""
        pair = self._pairs[index]
        name = f"{pair.recording.removesuffix('.wav')}+{pair.picture}"
        return Sample(name, {"image": None, "audio": None}, (pair.digit,))

    def trace(self, index: int) -> Origin:
        """The recording and its speaker; pictures have no files of their own."""
        name = self._pairs[index].recording
        file = str(self._sounds.absolute() / name)
        return Origin({"audio": Source(file, self._sizes[name])}, name.split("_")[1])

    def open_source(self, index: int, modality: str) -> BinaryIO:
        """The bytes of the recording."""
        return open_file(self._sounds / self._pairs[index].recording)


def _recordings(folder: Path) -> dict[str, tuple[int, str]]:
    """File name -> digit and speaker, by name."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise _no_recordings(folder, error.strerror or "nothing") from error
    matches = ((name, _NAME.fullmatch(name)) for name in names)
    found = {name: (int(match["digit"]), match["speaker"]) for name, match in matches if match}
    if not found:
        raise _no_recordings(folder, f"{len(names)} files, none of such a name")
    return found


def _of_split(
    split: Split,
    recordings: Mapping[str, tuple[int, str]],
    held_out: Mapping[str, Sequence[str]],
    folder: Path,
) -> list[tuple[str, int]]:
    """The recordings of a split and their digits."""
    speakers = {speaker for _, speaker in recordings.values()}
    named = [speaker for names in held_out.values() for speaker in names]
    wrong = [speaker for speaker in named if speaker not in speakers or named.count(speaker) > 1]
    if wrong or speakers == set(named):
        raise _wrong_speakers(folder, wrong or named, sorted(speakers))
    own = set(held_out.get(split, speakers - set(named)))
    return [(name, digit) for name, (digit, speaker) in recordings.items() if speaker in own]


def _pair(
    split: Split,
    recordings: Sequence[tuple[str, int]],
    digits: npt.NDArray[np.uint8],
    pictures: int,
    seed: int,
) -> list[Pair]:
    """Give every recording pictures of its digit. Validation takes them from the other end."""
    queues: dict[int, list[int]] = {}
    for digit in range(10):
        rows = np.flatnonzero(digits == digit)
        order = np.random.default_rng([seed, digit]).permutation(rows).tolist()
        # Half of the training file is for each, so that no picture is in both.
        half = len(order) // 2
        queues[digit] = {"train": order[half:], "validation": order[:half]}.get(split, order)
    pairs = []
    for name, digit in recordings:
        if len(queues[digit]) < pictures:
            raise _too_few_pictures(digit, pictures)
        pairs += [Pair(name, digit, queues[digit].pop()) for _ in range(pictures)]
    return pairs


def _checked(pixels: Pictures, count: int, folder: Path) -> Pictures:
    if len(pixels) == count:
        return pixels
    raise DataError(
        explain(
            str(folder),
            "pictures and labels are of different data",
            found=f"{len(pixels)} pictures, {count} labels",
            allowed="as many labels as pictures",
            next_step="fetch the four files again",
        )
    )


def reduced(pictures: Pictures, basis: Pictures, energy: float) -> Pictures:
    """Pictures in the fewest principal components of `basis` that hold this share of its variance.

    All are uint8 (count, height, width); what leaves 0..255 is cut to it.
    """
    flat = basis.reshape(len(basis), -1).astype(np.float64)
    mean = flat.mean(0)
    covariance = flat.T @ flat / len(flat) - np.outer(mean, mean)
    values, vectors = np.linalg.eigh(covariance)  # ascending
    shares = np.cumsum(values[::-1]) / values.sum()
    count = int(np.searchsorted(shares, energy)) + 1
    kept = vectors[:, ::-1][:, :count]
    centred = pictures.reshape(len(pictures), -1) - mean
    result = mean + (centred @ kept) @ kept.T
    changed: Pictures = result.round().clip(0, 255).astype(np.uint8)
    return changed.reshape(pictures.shape)


def noise(wave: Tensor, snr_db: float, name: str) -> Tensor:
    """White noise `snr_db` decibels below the power of a sound; the name alone decides which."""
    digest = hashlib.sha256(name.encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    power = float(wave.double().square().mean()) / 10 ** (snr_db / 10)
    drawn = generator.standard_normal(tuple(wave.shape)) * power**0.5
    return torch.from_numpy(drawn.astype(np.float32))


def _no_recordings(folder: Path, found: str) -> DataError:
    return DataError(
        explain(
            str(folder),
            "there are no spoken digits",
            found=found,
            allowed="files named {digit}_{speaker}_{n}.wav, as in the Free Spoken Digit Dataset",
            next_step="set dataset.sounds to the folder of the recordings",
        )
    )


def _wrong_speakers(folder: Path, wrong: Sequence[str], speakers: Sequence[str]) -> DataError:
    return DataError(
        explain(
            f"{folder}: validation_speakers, test_speakers",
            "every split needs speakers of its own",
            found=", ".join(wrong),
            allowed=f"some of {', '.join(speakers)}, each in one split, and some left to train on",
            next_step="correct the names",
        )
    )


def _too_few_pictures(digit: int, pictures: int) -> DataError:
    return DataError(
        explain(
            "dataset.pictures",
            f"there are not enough pictures of the digit {digit}",
            found=f"{pictures} a recording",
            allowed="as many as there are in MNIST, none of them twice",
            next_step="lower `pictures`",
        )
    )
