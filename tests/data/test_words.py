"""Free text is split into words in every script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.data.words import LETTERS, count_words, has_unspaced, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't panic: 42!", ["don", "t", "panic", "42"]),
        ("snake_case Straße ½", ["snake_case", "straße", "½"]),
        ("हिन्दी भाषा अच्छी है", ["हिन्दी", "भाषा", "अच्छी", "है"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("cafe\u0301", ["café"]),
        ("İstanbul", ["istanbul"]),
        ("می\u200cخواهم", ["میخواهم"]),
        ("co\u00adop \ufeffbom", ["coop", "bom"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("good ❤\ufe0f film", ["good", "film"]),
        ("好电影", ["好", "电", "影", "好电", "电影"]),
        ("iPhone手机 9", ["iphone", "手", "机", "手机", "9"]),
        ("カタカナ", ["カ", "タ", "カ", "ナ", "カタ", "タカ", "カナ"]),
        ("ที่\u200bดี", ["ที่", "ดี"]),
        ("\u0301 x", ["x"]),
    ],
)
def test_words_are_whole_and_scripts_without_spaces_give_characters_and_pairs(text, words):
    assert split_words(text) == words


@given(st.text(st.characters(max_codepoint=0x17F, exclude_characters="İ")))
def test_latin_text_is_split_as_it_always_was(text):
    expected = split_words(text.replace("\u00ad", ""), LETTERS)
    assert split_words(text) == expected


@given(st.text())
def test_words_of_words_are_the_words(text):
    for word in split_words(text):
        assert word in split_words(word)


def test_the_rule_of_older_models_is_kept():
    assert split_words("好电影 हिन", LETTERS) == ["好电影", "ह", "न"]


def test_words_are_counted_in_scripts_without_spaces():
    assert count_words("我觉得这个电影好") == 4
    assert count_words("four words are here") == 4
    assert has_unspaced("東京 2020")
    assert not has_unspaced("한국어 Ünïcode हिन्दी")
