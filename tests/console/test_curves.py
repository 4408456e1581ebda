"""Curves and diagnoses in the terminal."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from hpsearch.console.curves import ASCII, UNICODE, CurvePicture, curves_view
from hpsearch.console.findings import findings_view
from hpsearch.diagnoses import Diagnosis

FALL = 0.1 + 0.9 * 0.8 ** np.arange(40)


def picture(validation, training=None, best_epoch=1):
    training = validation if training is None else training
    return CurvePicture(
        "mae of trial 3", np.asarray(validation, float), np.asarray(training, float), best_epoch
    )


def lines_of(drawn, width=80, glyphs=UNICODE):
    return [line.plain for line in drawn.lines(width, glyphs)]


def test_a_curve_that_falls_goes_from_the_upper_left_to_the_lower_right():
    lines = lines_of(picture(np.linspace(1.0, 0.0, 60), best_epoch=60))[1:8]
    columns = [line.partition("│")[2].index("●") for line in lines]
    assert columns == sorted(columns)
    assert columns[0] < 5 < 50 < columns[-1]


def test_both_curves_and_their_scale_are_drawn():
    lines = lines_of(picture(FALL + 0.2, FALL, best_epoch=40))
    assert "● validation, ○ training" in lines[0]
    assert any("●" in line and "○" in line for line in lines[1:8])
    labels = [float(lines[row].partition("│")[0]) for row in (1, 7)]
    assert labels == [float(f"{value:.3g}") for value in (FALL[2] + 0.2, FALL[-1])]
    assert lines[8].endswith("40")


@pytest.mark.parametrize("best_epoch", [1, 7, 20])
def test_the_best_epoch_is_marked_below_its_column(best_epoch):
    curve = np.sqrt(np.abs(np.arange(1, 21) - best_epoch))
    lines = lines_of(picture(curve, best_epoch=best_epoch))
    assert f"best epoch {best_epoch}" in lines[9]
    lowest = lines[7].index("●")
    assert lines[9].index("▲") == lowest


def test_the_ends_of_phases_are_marked_on_the_floor():
    curves = pd.DataFrame({"trial": 0, "epoch": range(1, 21), "phase": [1] * 8 + [2] * 12})
    curves = curves.assign(val_mae=np.linspace(1, 0, 20), train_mae=np.linspace(1, 0, 20))
    lines = lines_of(curves_view(curves, {"trial": 0, "metric": "mae", "best_epoch": 20}))
    assert lines[0].endswith("○ training, ┴ a phase ends")
    first, column = lines[8].index("└") + 1, lines[8].index("┴")
    assert column - first == 7 * 3  # each epoch takes three columns
    assert lines[8].count("┴") == 1


@pytest.mark.parametrize("best_epoch", range(1, 6))
def test_the_mark_finds_room_on_a_narrow_terminal(best_epoch):
    lines = lines_of(picture([5.0, 4, 3, 2, 1], best_epoch=best_epoch), width=30)
    assert lines[9].strip(" ▲") in (f"best epoch {best_epoch}", str(best_epoch))
    assert len(lines[9]) <= 30


def test_an_encoding_without_these_characters_gets_ascii():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1")
    Console(file=stream, width=80, color_system=None).print(picture(FALL, FALL / 2, 40))
    stream.flush()
    text = raw.getvalue().decode("latin-1")
    assert text.isascii()
    assert "o validation, . training" in text
    assert "best epoch 40 ^" in text


def test_the_first_epochs_do_not_press_the_others_into_a_line():
    curve = np.concatenate([[1000.0], np.linspace(2.0, 1.0, 39)])
    lines = lines_of(picture(curve, best_epoch=40))
    assert float(lines[1].partition("│")[0]) < 2
    assert "●" in lines[4]


def test_what_is_not_finite_is_left_out():
    curve = np.array([1.0, np.nan, 0.5, np.inf, 0.4])
    lines = lines_of(picture(curve, best_epoch=5))
    assert sum(line.count("●") for line in lines[1:8]) == 3


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=3, max_size=150),
    st.integers(30, 120),
    st.data(),
)
def test_any_curves_are_drawn_inside_the_width(values, width, data):
    best = data.draw(st.integers(1, len(values)))
    with np.errstate(all="ignore"):
        lines = lines_of(picture(values, values[::-1], best), width, ASCII)
    assert len(lines) == 10
    assert max(len(line) for line in lines[1:]) <= width


def test_a_run_with_three_epochs_or_more_has_a_picture():
    curves = pd.DataFrame(
        {"trial": [0, 0, 0, 1], "epoch": [1, 2, 3, 1], "val_mae": 0.5, "train_mae": 0.4}
    )
    assert curves_view(curves, {"trial": 0, "metric": "mae", "best_epoch": 2}) is not None
    assert curves_view(curves, {"trial": 1, "metric": "mae", "best_epoch": 1}) is None
    assert curves_view(curves, {"trial": 0, "metric": "rmse", "best_epoch": 1}) is None
    one_side = curves.drop(columns="train_mae")
    assert curves_view(one_side, {"trial": 0, "metric": "mae", "best_epoch": 2}) is None


# -- diagnoses


def shown(view, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(view)
    return console.file.getvalue()


def test_a_diagnosis_is_shown_with_its_evidence_and_advice():
    found = Diagnosis(
        code="noisy",
        title="It jumps",
        evidence="It jumps by 0.2 [bold]in class\n'x'.",
        advice="Try small steps.",
        severity="hint",
        chart="curves",
    )
    text = shown(findings_view([found]))
    assert [line.strip() for line in text.splitlines()] == [
        "diagnoses",
        "hint  It jumps",
        "It jumps by 0.2 [bold]in class 'x'.",
        "Try small steps.",
    ]


def test_where_nothing_is_found_that_is_said():
    assert shown(findings_view([])) == "diagnoses  nothing stands out\n"
