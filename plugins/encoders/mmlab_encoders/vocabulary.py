"""Text -> ids: bytes, which need no learning, or words learnt from the training split."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import regex
import torch
from torch import Tensor, nn

from mmlab.plugin import DataError, WeightsError, explain

#: Reserved ids. A batch of zeros is therefore text without any token, which a missing text becomes.
PAD, MASK, START, UNKNOWN = range(4)

#: Words and signs of text in ASCII.
_PLAIN = re.compile(r"\w+|[^\w\s]")
#: Unicode's default word boundaries.
_BOUNDARY = regex.compile(r"(?V1w)\b")
#: Words with a letter of a script that is not Latin.
_OTHER_SCRIPT = regex.compile(r"(?V1)[\p{L}\p{N}--\p{Latin}--\p{Common}]")
#: What Latin letters and digits hold together; a sign between them is a word of its own.
_LATIN = regex.compile(r"[\p{L}\p{N}\p{M}_\u200c\u200d]+|\S\p{M}*")
_LETTER = re.compile(r"\w")
#: Where a line may break inside a word, which way it runs, and how a sign is drawn.
_INVISIBLE = re.compile("[\xad\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe0e\ufe0f\ufeff]")


class Ids(Protocol):
    """What the transformer needs of a vocabulary; `end` is the id that ends a text, if one does."""

    size: int
    end: int | None

    def fit(self, texts: Sequence[str]) -> None:
        """Learn from every training text."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text, none of them PAD, MASK, START or the end."""


class ByteVocabulary:
    """UTF-8 bytes, each its own id after the reserved ones; nothing is unknown."""

    reserved = 3

    def __init__(self, has_end: bool = False) -> None:
        self.size = self.reserved + 256 + has_end
        self.end = self.size - 1 if has_end else None

    def fit(self, texts: Sequence[str]) -> None:
        """There is nothing to learn."""

    def encode(self, text: str) -> list[int]:
        """One id per byte."""
        return [self.reserved + byte for byte in text.encode("utf-8", "surrogatepass")]


class WordVocabulary(nn.Module):
    """The most frequent words of the training texts, ties in order of spelling.

    Words are those of `split_words`. A word that was not seen, or did not fit into `size`, is
    UNKNOWN. The words are extra state, as UTF-8 in a uint8 tensor, so that they travel with the
    weights in a format for tensors.
    """

    reserved = 4

    def __init__(self, size: int, has_end: bool = False) -> None:
        super().__init__()
        self.size = size
        self.end = size - 1 if has_end else None  # the last, so that words have the same ids
        self.room = size - self.reserved - has_end
        self._id_of_word: dict[str, int] = {}

    def fit(self, texts: Sequence[str]) -> None:
        """Learn the words; raises DataError where there is none."""
        counts = Counter(word for text in texts for word in split_words(text))
        if not counts:
            raise _no_words(len(texts))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        self._set_words(ranked[: self.room])

    def encode(self, text: str) -> list[int]:
        """One id per word; raises WeightsError before there are any."""
        if not self._id_of_word:
            raise _not_fitted()
        return [self._id_of_word.get(word, UNKNOWN) for word in split_words(text)]

    def get_extra_state(self) -> Tensor:
        """The words in order of their ids, one a line."""
        text = "\n".join(self._id_of_word)
        return torch.tensor(list(text.encode("utf-8")), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the words of a checkpoint; raises WeightsError if `size` does not hold them all."""
        words = bytes(state.tolist()).decode("utf-8").split("\n")
        if len(words) > self.room:
            raise _too_many_words(len(words), self.room)
        self._set_words([word for word in words if word])

    def _set_words(self, words: Sequence[str]) -> None:
        self._id_of_word = {word: self.reserved + i for i, word in enumerate(words)}


def split_words(text: str) -> list[str]:
    """Words and signs of a text, after NFKC and case folding.

    Text in ASCII: runs of letters, digits and underscores, and single other signs. All other text
    is cut at the default word boundaries of Unicode (UAX #29), so that a vowel sign, an accent or a
    skin tone stays with what it belongs to; a Latin word is also cut at the signs inside it, as in
    ASCII. Ideographs, hiragana, and the syllables of scripts that write no spaces (Thai, Khmer) are
    words of their own. Signs that are not seen (soft hyphens, marks of direction) are left out.

    >>> split_words("Eﬃcient: it's 2 CATS!")
    ['efficient', ':', 'it', "'", 's', '2', 'cats', '!']
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    if text.isascii():
        return _PLAIN.findall(text)
    shown = _INVISIBLE.sub("", text).replace("\u200b", " ")  # a space of no width
    return [word for segment in _BOUNDARY.split(shown) for word in _words_of(segment)]


def _words_of(segment: str) -> list[str]:
    """The words between two boundaries: none in blanks, several of a Latin word with signs."""
    word = segment.strip()  # a sign that follows a blank stands with it
    if word and (_LETTER.search(word) is None or _OTHER_SCRIPT.search(word)):
        return [word]
    return list(_LATIN.findall(word))


def _no_words(text_count: int) -> DataError:
    return DataError(
        explain(
            "vocabulary",
            "there is no word to learn",
            found=f"{text_count} training texts without a word",
            allowed="at least one word in the training split",
            next_step="check the dataset's captions, or set vocabulary = 'bytes'",
        )
    )


def _not_fitted() -> WeightsError:
    return WeightsError(
        explain(
            "vocabulary",
            "there is no vocabulary yet",
            found="no words",
            allowed="words learnt from a training split, or those of weights",
            next_step="train this encoder, or set encoders.KEY.weights",
        )
    )


def _too_many_words(count: int, room: int) -> WeightsError:
    return WeightsError(
        explain(
            "vocabulary",
            "the words of these weights do not fit",
            found=f"{count} words",
            allowed=f"at most {room}",
            next_step="set vocabulary_size as in the run that made the weights",
        )
    )
