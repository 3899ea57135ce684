"""Curves in uploaded CSV files: what is read, what is rejected and how it is reported."""

import numpy as np
import pytest

from mlcv_explore.data import curve_files


def lines(rows: int) -> bytes:
    return "\n".join(f"{row},{row**0.5}" for row in range(1, rows + 1)).encode()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "must hold numbers, got an empty file"),
        (b"\n\n  \n", "got an empty file"),
        (b"x,y\n", "must hold numbers alone: line 1 has x"),
        (b"x,y\n1,2\n2,3\n", "at least 3 rows of numbers, got 2"),
        (b"1,2\n2,<b>x</b>\n3,4\n", "must hold numbers alone: line 2 has _b_x_ b_"),
        (b"1,2\n3,3\n2,4\n", "rising x: in line 3 it falls from 3, got 2"),
        (b"1,2\n1,3\n2,4\n", "rising x: in line 2 it repeats 1, got 1"),
        (b"1,2\n2,nan\n3,4\n", "finite numbers up to 1e+300: line 2 has nan"),
        (b"1,2\n2,1e999\n3,4\n", "line 2 has 1e999"),
        (b"1,-2\n2,3\n3,4\n", "past of 0 or more: in line 1 a curve that rises has -2"),
        (b"1,2\n2,2\n3,2\n", "must grow or fall: all its values are 2"),
        (b"1,2,3\n2,3,4\n3,4,5\n", "one column y or two columns x, y: line 1 has 3 columns"),
        (b"1,2\n2\n3,4\n", "the 2 of the first line: line 2 has 1 columns"),
        (b"1,\n2,3\n3,4\n", "must hold numbers alone: line 1 has nothing"),
        (b"\x89PNG\r\n\x1a\n\x00\x01", "text file"),
        (b"1\x00,2\n2,3\n3,4\n", "got binary data"),
        (b"1,2\n2," + b"9" * 5000 + b"\n3,4\n", "lines of at most 200 characters: line 2 has"),
        (b"1" * ((curve_files.MAX_MB << 20) + 1), "at most 32 MB"),
    ],
)
def test_an_unusable_file_is_rejected_in_a_sentence(content, sentence):
    with pytest.raises(curve_files.BadCurve) as rejection:
        curve_files.parse_upload(content, "../mine<i>.csv")
    text = str(rejection.value)
    assert text.startswith("mine_i_.csv must "), text
    assert sentence in text and "\n" not in text and "<" not in text and len(text) < 300, text


def test_forms_of_a_file_that_hold_the_same_curve():
    expected, text = curve_files.parse_upload(lines(9), "a.csv"), lines(9).decode()
    semicolons = text.replace(",", ";")
    forms = ["\ufeff" + text, "x,y\n" + text, '"time";"gain"\n' + semicolons, semicolons.replace(".", ",")]
    forms += [text.replace("\n", "\r\n"), text.replace("\n", "\n\n"), text + "\n\n"]
    forms += [text.replace(",", separator) for separator in ("\t", " ", ", ")]
    for content in (*(form.encode() for form in forms), text.encode("utf-16")):
        curve = curve_files.parse_upload(content, "a.csv")
        np.testing.assert_allclose(curve.progress, expected.progress, rtol=1e-12)
        np.testing.assert_array_equal(curve.x, expected.x)
    assert "header" in curve_files.parse_upload(("x,y\n" + text).encode(), "a.csv").notes[0]
    alone = curve_files.parse_upload(b"1\n2\n4\n", "a.csv")
    assert alone.x.tolist() == [0, 1, 2] and alone.progress.tolist() == [1, 2, 4]


def test_a_loss_becomes_its_fall_and_dents_are_filled():
    loss = curve_files.parse_upload(b"5\n3\n4\n1\n", "loss.csv")
    assert loss.progress.tolist() == [0, 2, 2, 4] and len(loss.notes) == 2 and "loss" in loss.notes[0]
    dented = curve_files.parse_upload(b"1\n3\n2\n4\n", "gain.csv")
    assert dented.progress.tolist() == [1, 3, 3, 4] and "highest value so far" in dented.notes[0]


def test_a_million_rows_are_thinned_with_a_note():
    wide = "\n".join(f"{place},{place**0.5:.12f}" for place in range(1_000_000)).encode()
    curve = curve_files.parse_upload(wide, "wide.csv")
    assert len(wide) > 20 << 20 and len(curve.x) == len(curve.progress) == curve_files.MAX_ROWS
    assert curve.x[-1] == 999_999 and curve.progress[-1] == pytest.approx(999_999**0.5)
    assert "2,000 of 1,000,000 rows" in curve.notes[0]
