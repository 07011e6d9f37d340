"""Tokens as labels: everything in them can be seen, drawn, and told apart from markup."""

import itertools
import unicodedata

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentkit.plot.drawing.fonts import font_characters
from latentkit.view.labels import label_rows, prefixed_label, token_label, visible_token

# `st.text` leaves out surrogates; a trace may hold half a pair.
any_token = st.text(st.characters(exclude_categories=()), max_size=40)


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" deliber", " deliber"),
        ("deliber", "deliber"),
        (" ", "␣"),
        ("    return", "␣␣␣␣return"),
        ("end ", "end␣"),
        ("a  b", "a␣␣b"),
        ("a b", "a b"),
        ("\n\n", "↵↵"),
        ("\t", "⇥"),
        ("\r\n", "U+000D ↵"),
        ("\x00", "U+0000"),
        ("\ud83d", "U+D83D"),
        ("a\u202eb", "a U+202E b"),
        ("\u00a0", "U+00A0"),
        ("\u2028", "U+2028"),
        ("<0xE2>", "<0xE2>"),
        ("$x_1$", "$x_1$"),
        (r"\frac", r"\frac"),
        ("<script>", "<script>"),
        ("مرحبا", "مرحبا"),
        (" مرحبا", "␣مرحبا"),
        ("\u0301e", "◌\u0301e"),
        ("e\u0301", "e\u0301"),
        ("", ""),
    ],
)
def test_a_token_is_written_so_that_every_character_can_be_seen(token, shown):
    assert visible_token(token) == shown


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("日", "U+65E5"),
        (" 日本", " U+65E5 U+672C"),
        ("🙂 ok", "U+1F642 ok"),
        ("ok🙂", "ok U+1F642"),
        ("\n", "↵"),
    ],
)
def test_a_character_without_glyph_is_named_by_its_number(token, shown):
    assert visible_token(token, font_characters()) == shown


def test_a_sign_that_the_font_lacks_is_named_by_what_it_stands_for():
    ascii_only = range(128)
    assert visible_token("\n \t", ascii_only) == "U+000A U+0009"
    assert visible_token("  ", ascii_only) == "U+0020 U+0020"
    assert visible_token("\u0301", range(0x0300, 0x0370)) == "\u0301"


@given(any_token)
def test_nothing_invisible_and_nothing_undrawable_is_left(token):
    shown = visible_token(token, font_characters())
    for character in shown:
        assert character == " " or unicodedata.category(character)[0] not in "CZ"
        assert ord(character) in font_characters()


@given(st.text(st.sampled_from("ab $\\<&"), max_size=6).filter(lambda text: "  " not in text))
def test_plain_text_is_shown_as_it_is(token):
    assert visible_token(token).replace("␣", " ") == token


def test_a_long_token_is_cut_and_says_so():
    assert token_label("a" * 200) == "a" * 27 + "…"
    assert token_label("a" * 28) == "a" * 28
    assert token_label("日" * 9, font_characters()) == "U+65E5 U+65E5 U+65E5 U+65E5…"
    assert token_label("a" * 29, range(128)) == "a" * 25 + "..."


@given(any_token | st.text(min_size=30, max_size=300))
def test_a_label_is_short_and_one_line(token):
    label = token_label(token, font_characters())
    assert len(label) <= 28
    assert len(label.splitlines()) <= 1


def test_the_fonts_in_rcparams_decide():
    with mpl.rc_context({"font.family": ["DejaVu Sans Mono"]}):
        mono = font_characters()
    assert mono != font_characters()
    assert ord("a") in mono
    with mpl.rc_context({"font.family": ["No Such Font", "DejaVu Sans"]}):
        assert ord("↵") in font_characters()


@given(st.integers(1, 700), st.integers(0, 5000), st.floats(0.05, 40))
def test_labels_never_touch_and_none_is_left_out_needlessly(rows, first, pitch):
    positions = range(first, first + rows)
    kept, size = label_rows(positions, pitch)
    gaps = {after - before for before, after in itertools.pairwise(kept)}
    assert kept
    assert 6 <= size <= 8
    assert all(gap * pitch >= size for gap in gaps)
    if pitch >= 7:
        assert kept == list(range(rows))
    else:
        assert len(gaps) <= 1, "labels stand at equal distances"


def test_thinned_labels_stand_at_round_positions():
    kept, _ = label_rows(range(182, 241), pitch=2.0)
    assert [182 + row for row in kept] == list(range(185, 241, 5))


def test_a_few_rows_too_low_for_letters_keep_their_first_label():
    assert label_rows(range(7, 9), pitch=0.5) == ([0], 7.0)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" cat", "3  cat"),
        ("مرحبا", "\u200e3 مرحبا"),
        ("שלום", "\u200e3 שלום"),
        ("abc مرحبا", "\u200e3 abc مرحبا"),
    ],
)
def test_a_prefix_stays_in_front_of_a_token_that_is_written_from_right_to_left(text, label):
    assert prefixed_label("3 ", text) == label


def test_a_font_without_the_mark_of_direction_does_not_have_to_draw_it():
    assert prefixed_label("3 ", "مرحبا", characters=[ord(letter) for letter in "مرحبا3 "]) == "3 مرحبا"
