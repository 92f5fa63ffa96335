# ruff: noqa: RUF001 - letters of other scripts look like Latin ones
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mmlab_encoders.vocabulary import WordVocabulary, split_words

#: Texts and their words. Thai's sara am is two signs after NFKC.
WORDS_OF: dict[str, list[str]] = {
    "लाल पतंग, हिन्दी किताब": ["लाल", "पतंग", ",", "हिन्दी", "किताब"],
    "বাংলা ভাষা": ["বাংলা", "ভাষা"],
    "தமிழ் நாடு": ["தமிழ்", "நாடு"],
    "ශ්‍රී ලංකා": ["ශ්‍රී", "ලංකා"],
    "مُحَمَّد العَرَبِيَّة": ["مُحَمَّد", "العَرَبِيَّة"],
    "می‌خواهم ٣٫١٤": ["می‌خواهم", "٣٫١٤"],
    'שָׁלוֹם צה"ל': ["שָׁלוֹם", 'צה"ל'],
    "п'ять слів": ["п'ять", "слів"],
    "한국어 말": ["한국어", "말"],
    "中文字 日本のカメラ": ["中", "文", "字", "日", "本", "の", "カメラ"],
    "แมวดำ": ["แ", "ม", "ว", "ดํ", "า"],
    "ភាសាខ្មែរ": ["ភា", "សា", "ខ្", "មែ", "រ"],
    "แมว\u200bดำ": ["แ", "ม", "ว", "ดํ", "า"],
    "👩🏽‍🚒👍🏽 ❤️🇩🇪🇫🇷": ["👩🏽‍🚒", "👍🏽", "❤", "🇩🇪", "🇫🇷"],
    "x̄ = 3⃣": ["x̄", "=", "3⃣"],
    "\ufeffco\xadop \u200fשלום\u200f": ["coop", "שלום"],
    "naïve “it’s” 3.14–café": ["naïve", "“", "it", "’", "s", "”", "3", ".", "14", "–", "café"],
    " \u200b\u3000": [],
}


@pytest.mark.parametrize("text", WORDS_OF)
def test_words_keep_their_signs_in_every_script(text: str) -> None:
    expected = [unicodedata.normalize("NFKC", word) for word in WORDS_OF[text]]
    for form in ("NFC", "NFD"):
        assert split_words(unicodedata.normalize(form, text)) == expected


def old_words(text: str) -> list[str]:
    """Words as they were cut before other scripts were thought of."""
    return re.findall(r"\w+|[^\w\s]", unicodedata.normalize("NFKC", text).casefold())


@given(st.text(st.characters(max_codepoint=127)))
@example("Don't re-use v1.2_b, e.g. 3.14:15; 1,000 'x'!")
def test_words_of_english_are_what_they_were(text: str) -> None:
    assert split_words(text) == old_words(text)
    # A word with an accent takes the text through Unicode's boundaries, with the same outcome.
    assert split_words(f"{text} é") == [*old_words(text), "é"]


@given(st.text("abcXYZ189 .,:;-_'\"!?()éüßñœøČ‘’“”–—…€£\n"))
def test_words_of_latin_letters_are_what_they_were(text: str) -> None:
    assert split_words(text) == old_words(text)


SIGNS = "िी्ंািமுำֿَ́\u200d"


@given(st.text(st.sampled_from(f"कखமวะаб12ab'👍🏽{SIGNS}")))
def test_no_word_begins_with_a_sign_that_belongs_to_the_one_before(text: str) -> None:
    words = split_words(f"a{text}")
    assert not [word for word in words if unicodedata.category(word[0])[0] == "M"]
    assert "".join(words) == unicodedata.normalize("NFKC", f"a{text}")


@given(st.text(st.sampled_from(f"कאa👍 \t\u200b\u3000{SIGNS}")))
def test_no_word_holds_a_blank(text: str) -> None:
    assert not [word for word in split_words(text) if not word or re.search(r"\s", word)]


def test_words_of_hindi_have_an_id_each() -> None:
    texts = ["लाल पतंग", "नीली मछली", "हिन्दी किताब"]
    words = WordVocabulary(100)
    words.fit(texts)
    assert [len(words.encode(text)) for text in texts] == [2, 2, 2]
    assert len({i for text in texts for i in words.encode(text)}) == 6
