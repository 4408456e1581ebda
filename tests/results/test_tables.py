import io
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from hpsearch.results.tables import (
    baselines_table,
    canonical,
    curves_table,
    fold_predictions,
    folds_table,
    nested_table,
    predictions_table,
    read_table,
    table_text,
    timings_table,
    trials_table,
    write_table,
)
from hpsearch.task import Target
from hpsearch.words import guarded, unguarded

# What the parser of pandas 3.0 reads exactly; later ones read every float exactly.
LARGEST_EXACT = 1e22

floats = st.floats(-LARGEST_EXACT, LARGEST_EXACT) | st.just(math.nan)
texts = st.text(st.characters(), max_size=8) | st.sampled_from(
    [
        "NA",
        "None",
        "null",
        "",
        "nan",
        "=1+1",
        "-x",
        "@a",
        "\tb",
        "\rc",
        "a\r\nb",
        "\0",
        "'",
        '"',
        "a,b",
    ]
)


def read_back(frame):
    return pd.read_csv(io.StringIO(table_text(frame)))


@given(st.lists(floats, min_size=1, max_size=20))
def test_floats_read_back_exactly_with_plain_read_csv(values):
    frame = pd.DataFrame({"trial": range(len(values)), "score": values})
    assert_frame_equal(read_back(frame), canonical(frame), check_exact=True)


@given(st.lists(texts, min_size=1, max_size=6))
def test_texts_read_back_exactly_with_plain_read_csv(values):
    text = pd.Series(["word", *values], dtype=object)
    frame = pd.DataFrame({"row": range(len(text)), "text": text})
    assert read_back(frame)["text"].tolist() == canonical(frame)["text"].tolist()


@given(st.lists(floats | texts | st.none() | st.booleans() | st.integers(-9, 9), max_size=8))
def test_canonical_twice_is_canonical_once(values):
    once = canonical(
        pd.DataFrame({"row": range(len(values)), "x": pd.Series(values, dtype=object)})
    )
    assert table_text(once) == table_text(canonical(once))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_canonical_float_is_within_half_a_unit_of_the_twelfth_digit(value):
    rounded = canonical(pd.DataFrame({"x": [value]}))["x"][0]
    assert rounded == pytest.approx(value, rel=5e-12, abs=5e-23)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.333333333333"),
        (-2 / 3 * 1e-5, "-6.66666666667e-06"),
        (1.234567890126e-20, "1.23e-20"),
        (-1e-30, "0.0"),
        (5.0, "5.0"),
        (1e300, "1e+300"),
        (math.inf, "inf"),
        (math.nan, ""),
    ],
)
def test_floats_are_written_with_12_digits_and_at_most_22_decimals(value, text):
    assert table_text(pd.DataFrame({"row": [0], "x": [value]})) == f"row,x\n0,{text}\n"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=SUM(A1)", "'=SUM(A1)"),
        ("+x", "'+x"),
        ("-1+cmd", "'-1+cmd"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("＝SUM(A1)", "'＝SUM(A1)"),
        ("－x", "'－x"),
        ("a;=cmd", "a;'=cmd"),
        ("a|@b;+c", "a|'@b;'+c"),
        ("a;-1;+2.5e3", "a;-1;+2.5e3"),
        ("a;-1x", "a;'-1x"),
        ("a = b; c", "a = b; c"),
        ("a\x1b[2Jb\x9b", "a\ufffd[2Jb\ufffd"),
        ("NA", "'NA"),
        ("None", "'None"),
        ("null", "'null"),
        ("relu", "relu"),
        ("-1.5e3", "-1.5e3"),
        ("+7", "+7"),
    ],
)
def test_text_that_is_a_formula_or_missing_gets_a_quote_in_front(value, cell):
    assert table_text(pd.DataFrame({"row": [0], "x": [value]})) == f"row,x\n0,{cell}\n"


def test_negative_numbers_get_no_quote():
    assert table_text(pd.DataFrame({"a": [-1], "b": [-0.5]})) == "a,b\n-1,-0.5\n"


def test_a_header_that_is_a_formula_gets_a_quote_in_front():
    assert table_text(pd.DataFrame({"=A1": [1]})) == "'=A1\n1\n"


def test_integers_with_missing_cells_stay_integers_in_the_file():
    frame = pd.DataFrame({"a": pd.Series([3, None], dtype=object), "b": [1, 2]})
    assert table_text(frame) == "a,b\n3,1\n,2\n"


def test_truth_values_with_missing_cells_stay_truth_values_in_the_file():
    frame = pd.DataFrame({"a": pd.Series([True, None], dtype=object), "b": [1, 2]})
    assert table_text(frame) == "a,b\nTrue,1\n,2\n"


def test_whole_numbers_among_floats_are_written_as_floats():
    frame = pd.DataFrame({"a": pd.Series([1, 0.5], dtype=object), "b": [1, 2]})
    assert table_text(frame) == "a,b\n1.0,1\n0.5,2\n"


def test_a_frame_without_rows_keeps_its_header():
    assert table_text(pd.DataFrame({"trial": [], "score": []})) == "trial,score\n"


def test_write_table_writes_utf8_with_line_feeds(tmp_path):
    write_table(tmp_path / "t.csv", pd.DataFrame({"name": ["Zoë"], "x": [1]}))
    assert (tmp_path / "t.csv").read_bytes() == "name,x\nZoë,1\n".encode()


def test_read_table_gives_what_was_written(tmp_path):
    frame = pd.DataFrame({"trial": [0, 1], "score": [1 / 3, math.nan], "hp.act": ["NA", "relu"]})
    write_table(tmp_path / "t.csv", frame)
    assert_frame_equal(read_table(tmp_path / "t.csv"), canonical(frame), check_exact=True)


def trial(number, status="completed", score=None, **more):
    return {"trial": number, "status": status, "score": score, **more}


def test_trials_are_ranked_by_score_with_ties_by_trial_number():
    rows = [trial(0, score=0.3), trial(1, score=0.1), trial(2, score=0.1)]
    table = trials_table(rows, metrics=(), direction="min")
    assert table[["trial", "rank"]].to_numpy().tolist() == [[1, 1], [2, 2], [0, 3]]


def test_trials_are_ranked_downwards_where_more_is_better():
    rows = [trial(0, score=0.3), trial(1, score=0.9)]
    assert trials_table(rows, metrics=(), direction="max")["trial"].tolist() == [1, 0]


def test_failed_and_stopped_trials_stand_at_the_bottom_without_rank():
    rows = [
        trial(0, "failed", error="ValueError: no"),
        trial(1, "stopped", score=0.0),
        trial(2, score=0.5),
        trial(3, score=math.nan),
    ]
    table = trials_table(rows, metrics=(), direction="min")
    assert table["trial"].tolist() == [2, 3, 1, 0]
    assert table["rank"].isna().tolist() == [False, True, True, True]


def test_trials_have_the_documented_columns_then_metrics_then_sorted_hyperparameters():
    rows = [
        trial(0, score=0.1, **{"hp.units": 8, "metric.accuracy": 0.9, "metric.log_loss": 0.1}),
        trial(1, score=0.2, **{"hp.act": "relu"}),
    ]
    table = trials_table(rows, metrics=("log_loss", "accuracy"), direction="min")
    assert ",".join(table.columns) == (
        "trial,status,rank,score,score_std,score_se,ci_low,ci_high,n_folds,best_epoch,epochs,"
        "n_params,error,metric.log_loss,metric.accuracy,hp.act,hp.units"
    )


def test_an_inactive_hyperparameter_is_an_empty_cell():
    rows = [trial(0, score=0.1, **{"hp.units": 8}), trial(1, score=0.2, **{"hp.act": "relu"})]
    lines = table_text(trials_table(rows, metrics=(), direction="min")).splitlines()
    assert [line.split(",")[-2:] for line in lines[1:]] == [["", "8"], ["relu", ""]]


def test_an_unknown_column_is_a_programming_error():
    with pytest.raises(ValueError, match="no columns \\['scroe'\\]"):
        trials_table([trial(0, scroe=1)], metrics=(), direction="min")


def test_best_epochs_are_whole_numbers_beside_a_failed_trial():
    rows = [trial(0, score=0.1, best_epoch=7.0), trial(1, "failed")]
    table = trials_table(rows, metrics=(), direction="min")
    assert table["best_epoch"].astype(object).tolist() == [7, pd.NA]


def test_folds_are_in_order_of_trial_repeat_and_fold():
    keys = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]
    rows = [dict(zip(("trial", "repeat", "fold"), key, strict=True)) for key in keys]
    table = folds_table(rows, metrics=("mae",))
    assert [*map(tuple, table[["trial", "repeat", "fold"]].to_numpy().tolist())] == sorted(keys)
    assert table.columns.tolist()[-2:] == ["val_mae", "train_mae"]


def test_curves_are_in_order_of_trial_and_epoch():
    rows = [{"trial": t, "epoch": e, "val_mae": 1.0} for t, e in [(1, 1), (0, 2), (0, 1)]]
    table = curves_table(rows, metrics=("mae", "r2"))
    assert table[["trial", "epoch"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 1]]
    assert ",".join(table.columns) == (
        "trial,epoch,n_folds,val_mae,val_mae_se,val_r2,val_r2_se,train_mae,train_r2,train_loss"
    )


def test_timings_keep_further_columns_of_seconds():
    rows = [{"trial": 1, "seconds": 2.0}, {"trial": 0, "seconds": 1.0, "fit_seconds": 0.5}]
    assert table_text(timings_table(rows)) == "trial,seconds,fit_seconds\n0,1.0,0.5\n1,2.0,\n"


def test_binary_predictions_hold_the_label_and_the_probability_of_the_second_label():
    target = Target(("sick",), "binary", ("no", "yes"))
    frame = fold_predictions(
        target,
        repeat=0,
        fold=1,
        rows=np.array([4, 9]),
        y_true=np.array([1, 0]),
        y_pred=np.array([0.75, 0.25]),
    )
    assert table_text(frame) == "row,repeat,fold,y_true,y_pred\n4,0,1,yes,0.75\n9,0,1,no,0.25\n"


def test_multiclass_predictions_have_a_column_per_class():
    target = Target(("kind",), "multiclass", ("a", "b", "c"))
    frame = fold_predictions(
        target,
        repeat=1,
        fold=0,
        rows=np.array([0]),
        y_true=np.array([2]),
        y_pred=np.array([[0.25, 0.25, 0.5]]),
    )
    assert table_text(frame) == (
        "row,repeat,fold,y_true,y_pred.a,y_pred.b,y_pred.c\n0,1,0,c,0.25,0.25,0.5\n"
    )


def test_multilabel_predictions_have_a_pair_of_columns_per_label():
    target = Target(("x", "y"), "multilabel", ("x", "y"))
    frame = fold_predictions(
        target,
        repeat=0,
        fold=0,
        rows=np.array([0]),
        y_true=np.array([[1.0, 0.0]], dtype=np.float32),
        y_pred=np.array([[0.5, 0.25]]),
    )
    assert table_text(frame) == (
        "row,repeat,fold,y_true.x,y_true.y,y_pred.x,y_pred.y\n0,0,0,1,0,0.5,0.25\n"
    )


def test_regression_predictions_are_in_the_targets_units():
    target = Target(("price",), "regression")
    frame = fold_predictions(
        target,
        repeat=0,
        fold=0,
        rows=np.array([3]),
        y_true=np.array([[21.5]]),
        y_pred=np.array([[20.25]]),
    )
    assert table_text(frame) == "row,repeat,fold,y_true,y_pred\n3,0,0,21.5,20.25\n"


def test_several_regression_targets_have_a_pair_of_columns_each():
    target = Target(("a", "b"), "regression")
    frame = fold_predictions(
        target,
        repeat=0,
        fold=0,
        rows=np.array([3]),
        y_true=np.array([[1.0, 2.0]]),
        y_pred=np.array([[1.5, 2.5]]),
    )
    assert frame.columns.tolist()[3:] == ["y_true.a", "y_true.b", "y_pred.a", "y_pred.b"]


@settings(max_examples=20)
@given(st.permutations([(0, 0), (0, 1), (1, 0), (1, 1)]))
def test_predictions_are_in_order_whatever_the_order_of_the_folds(order):
    target = Target(("y",), "regression")
    parts = [
        fold_predictions(
            target,
            repeat=repeat,
            fold=fold,
            rows=np.array([fold, fold + 2]),
            y_true=np.zeros((2, 1)),
            y_pred=np.zeros((2, 1)),
        )
        for repeat, fold in order
    ]
    rows = predictions_table(parts)[["repeat", "fold", "row"]].to_numpy().tolist()
    assert rows == [[r, f, f + n] for r in (0, 1) for f in (0, 1) for n in (0, 2)]


def test_baselines_have_a_row_for_each_fold_in_the_order_given():
    rows = [
        {"baseline": name, "repeat": 0, "fold": k, "n_train": 6, "n_val": 3, "val_mae": 0.5 + k}
        for name in ("linear", "constant")
        for k in range(2)
    ]
    assert table_text(baselines_table(rows, metrics=["mae"])) == (
        "baseline,repeat,fold,n_train,n_val,val_mae\n"
        "linear,0,0,6,3,0.5\nlinear,0,1,6,3,1.5\n"
        "constant,0,0,6,3,0.5\nconstant,0,1,6,3,1.5\n"
    )


def test_an_outer_fold_without_a_score_has_its_reason():
    rows = [
        {"fold": 1, "n_train": 8, "n_test": 2, "error": "All 2 trials failed."},
        {"fold": 0, "n_train": 8, "n_test": 2, "trial": 3, "epoch": 7, "inner_score": 0.25}
        | {"outer_score": 0.5, "hp.units": 4},
    ]
    assert table_text(nested_table(rows)) == (
        "fold,n_train,n_test,trial,epoch,inner_score,outer_score,error,hp.units\n"
        "0,8,2,3,7,0.25,0.5,,4\n1,8,2,,,,,All 2 trials failed.,\n"
    )


@given(st.text(st.sampled_from("=+-@＝1.;|\ta'e")))
def test_guarded_text_starts_no_formula_and_reads_back(text):
    safe = guarded(text)
    for cell in re.split(r"[;|\t]", safe):
        is_number = re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", cell)
        assert cell[:1] not in tuple("=+-@＝") or is_number
    if "'" not in text:
        assert unguarded(safe) == text
