"""``load`` gives a checked ``Dataset`` from any source."""

import datetime as dt
import string
import time as clock
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpsearch.data import Dataset, Schema, load
from hpsearch.data.rows import read_rows
from hpsearch.errors import DataError, OptionError

FRAME = pd.DataFrame(
    {
        "size": [1.5, 2.0, 3.0, 5.0],
        "shop": ["a", "a", "b", "b"],
        "day": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"],
        "price": [0.5, 1.0, 3.0, 2.0],
    }
)


# --- real tables --------------------------------------------------------------------------------


def test_boston_housing_is_a_regression_of_13_numbers(tables):
    data = load(tables / "boston_housing.csv", target="medv")
    assert data.target.kind == "regression"
    assert data.n_rows == 506
    assert [column.kind for column in data.schema.columns] == ["number"] * 13
    assert data.name == "boston_housing"
    assert data.y[:2].tolist() == [[24.0], [21.6]]
    assert data.warnings == ()


def test_credit_mixes_numbers_and_categories_with_missing_cells(tables):
    data = load(tables / "credit.csv", target="Status")
    assert data.target.labels == ("bad", "good")
    assert data.n_rows == 4454
    assert [c.name for c in data.schema.of_kind("category")] == [
        "Home",
        "Marital",
        "Records",
        "Job",
    ]
    missing = data.frame.isna().sum()
    assert missing[missing > 0].to_dict() == {
        "Home": 6,
        "Marital": 1,
        "Job": 2,
        "Income": 381,
        "Assets": 47,
        "Debt": 18,
    }
    assert {c.name for c in data.schema.columns if c.has_missing} == set(missing[missing > 0].index)
    assert data.warnings == ()


@pytest.mark.parametrize(("name", "target"), [("boston_housing", "medv"), ("credit", "Status")])
def test_real_tables_are_the_same_from_csv_dataframe_and_parquet(tables, tmp_path, name, target):
    raw = pd.read_csv(tables / f"{name}.csv")
    raw.to_parquet(tmp_path / "t.parquet")
    sources = (tables / f"{name}.csv", raw, tmp_path / "t.parquet")
    assert len({load(source, target=target).fingerprint for source in sources}) == 1


# --- generated tables ---------------------------------------------------------------------------

CELLS = st.text(string.ascii_letters + string.digits + " .,;-?'\"\nü€/", max_size=6)
COLUMNS = {
    "whole": st.integers(-(2**60), 2**60),
    "number": st.floats(-1e38, 1e38, allow_nan=False),
    "flag": st.booleans(),
    "text": CELLS,
    "date": st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)),
}
TYPES = {"whole": "Int64", "number": "float64", "flag": "boolean", "text": "str"}


@st.composite
def generated_tables(draw):
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4))
    n_rows = draw(st.integers(2, 8))
    columns = {}
    for i, kind in enumerate(kinds):
        cells = st.one_of(st.none(), COLUMNS[kind])
        values = draw(st.lists(cells, min_size=n_rows, max_size=n_rows))
        dtype = TYPES.get(kind, "datetime64[us]")
        columns[f"c{i}"] = pd.Series(values, dtype=dtype)
    y = draw(st.lists(st.floats(-1e6, 1e6), min_size=n_rows, max_size=n_rows, unique=True))
    return pd.DataFrame(columns | {"y": y})


def outcome(source):
    try:
        return load(source, target="y", task="regression").fingerprint
    except DataError as error:
        return type(error)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(frame=generated_tables())
def test_csv_dataframe_and_parquet_of_one_table_load_the_same(tmp_path, frame):
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "t.parquet")
    sources = [frame, *(tmp_path / f"t.{ending}" for ending in ("csv", "tsv", "parquet"))]
    assert len({outcome(source) for source in sources}) == 1


def test_54_000_rows_of_10_columns_take_a_few_seconds_at_most(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(54_000, 9)), columns=list("abcdefghi"))
    frame.assign(y=rng.choice(["u", "v", "w"], 54_000)).to_csv(tmp_path / "t.csv", index=False)
    start = clock.perf_counter()
    load(tmp_path / "t.csv", target="y")
    assert clock.perf_counter() - start < 20


# --- the parts that columns play ----------------------------------------------------------------


def test_without_a_target_the_columns_are_listed():
    with pytest.raises(DataError, match=r"--target must name.*Columns: size, shop, day, price"):
        load(FRAME)


@pytest.mark.parametrize("option", ["target", "drop", "text", "groups", "time"])
def test_an_unknown_column_is_refused_with_the_nearest_name(option):
    options = {"target": "price", option: "prise" if option == "target" else "siez"}
    nearest = "price" if option == "target" else "size"
    with pytest.raises(DataError, match=f"--{option} must name a column.*Did you mean '{nearest}'"):
        load(FRAME, **options)


def test_an_unknown_column_like_no_other_lists_the_columns():
    with pytest.raises(DataError, match=r"no 'xyzzy'\. Columns: size, shop"):
        load(FRAME, target="xyzzy")


@pytest.mark.parametrize("option", ["drop", "text", "groups", "time"])
def test_a_column_plays_one_part_only(option):
    with pytest.raises(DataError, match=f"'price' is named by --target and --{option}"):
        load(FRAME, target="price", **{option: "price"})


def test_dropped_columns_are_no_features():
    data = load(FRAME, target="price", drop=["shop", "day"])
    assert [column.name for column in data.schema.columns] == ["size"]


def test_a_table_without_features_is_refused():
    with pytest.raises(DataError, match="none left"):
        load(FRAME, target="price", drop=["size", "shop", "day"])


def test_a_table_whose_features_were_all_left_out_says_why():
    frame = pd.DataFrame({"a": [1, 1], "y": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"none left\. Column 'a' .* 1 in every row\.$"):
        load(frame, target="y")


def test_constant_and_empty_columns_are_left_out_of_the_schema_and_said():
    data = load(FRAME.assign(same=1, none=None), target="price")
    assert not {"same", "none"} & {column.name for column in data.schema.columns}
    assert any("'same' was left out" in note for note in data.notes)
    assert any("'none' was left out" in note for note in data.notes)


def test_free_text_is_read_where_asked():
    data = load(FRAME, target="price", text="shop")
    assert data.schema.of_kind("text")[0].name == "shop"


def test_removed_spaces_are_said_once(write):
    data = load(write("a,b,y\n x,u ,1.5\ny,v ,2\nx,v,4\n"), target="y")
    assert data.notes == ("Spaces around cells were removed in a, b.",)


def test_a_column_that_gives_the_target_away_is_warned_about():
    data = load(FRAME.assign(twice=2 * FRAME["price"]), target="price")
    assert "'twice' gives the target 'price' away" in data.warnings[0]


def test_messages_name_lines_of_the_file(write):
    path = write('a,y\n"two\nlines",1.5\nx,inf\n')
    with pytest.raises(DataError, match="line 4"):
        load(path, target="y")


def test_text_labels_such_as_na_survive_a_csv_file(write):
    path = write("a,y\n" + "".join(f"{i},{label}\n" for i, label in enumerate(["NA", "null"] * 3)))
    with pytest.raises(DataError, match="missing"):
        load(path, target="y")
    path = write("a,y\n" + "".join(f"{i}.5,{y}\n" for i, y in enumerate(["NA", "yes"] * 3)))
    assert load(path, target="y").target.labels == ("NA", "yes")


# --- groups and times ---------------------------------------------------------------------------


def test_groups_of_a_column_leave_the_features():
    data = load(FRAME, target="price", groups="shop")
    assert data.groups.tolist() == [0, 0, 1, 1]
    assert "shop" not in {column.name for column in data.schema.columns}


def test_groups_may_be_an_array():
    data = load(FRAME, target="price", groups=np.array([7, 5, 7, 5]))
    assert data.groups.tolist() == [1, 0, 1, 0]


def test_groups_of_another_length_are_refused():
    with pytest.raises(DataError, match="received 3 for 4 rows"):
        load(FRAME, target="price", groups=[1, 2, 3])


@pytest.mark.parametrize("cell", [None, "", " "])
def test_groups_with_missing_cells_are_refused(cell):
    with pytest.raises(DataError, match=r"--groups needs a value in every row; 'shop'.*row 1"):
        load(FRAME.assign(shop=["a", cell, "b", "b"]), target="price", groups="shop")


def test_times_are_sortable_integers_in_the_order_of_the_dates():
    data = load(FRAME.iloc[[2, 0, 1, 3]], target="price", time="day")
    assert data.time.dtype == np.int64
    assert np.argsort(data.time).tolist() == [1, 2, 0, 3]


def test_times_may_be_numbers():
    assert load(FRAME, target="price", time="size").time.tolist() == [1.5, 2.0, 3.0, 5.0]
    assert load(FRAME, target="price", time=[3, 1, 2, 4]).time.dtype == np.int64


def test_huge_integer_times_keep_their_order():
    times = [2**60 + 1, 2**60, 2**60 + 2, 5]
    assert load(FRAME, target="price", time=times).time.tolist() == times


def test_times_with_missing_cells_are_refused():
    with pytest.raises(DataError, match="--time needs a value in every row"):
        load(FRAME, target="price", time=[1.0, None, 2.0, 3.0])


def test_times_of_text_are_refused():
    with pytest.raises(DataError, match="dates or numbers; column 'shop' holds text"):
        load(FRAME, target="price", time="shop")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            ["1", "2", "x", "4"],
            r"mostly numbers, but row 2 \(.x.\) is not\. Write plain",
        ),
        (["1/2/2020", "2/3/2020", "3/4/2020", "4/5/2020"], r"Write dates as YYYY-MM-DD"),
        (["1" + "0" * 30, "1", "2", "3"], r"within 64 bits; column 'time'.*Count in larger units"),
    ],
)
def test_a_time_that_is_unclear_is_refused_with_what_can_be_done_with_a_time(cells, said):
    with pytest.raises(DataError, match=said):
        load(FRAME, target="price", time=cells)


# --- arrays -------------------------------------------------------------------------------------


def test_arrays_are_columns_of_numbers():
    data = load(np.arange(8.0).reshape(4, 2), [1.0, 2.0, 4.0, 8.0])
    assert [column.name for column in data.schema.columns] == ["x0", "x1"]
    assert data.target.names == ("y",)


def test_one_of_several_targets_may_be_chosen():
    data = load(
        np.arange(3.0)[:, None], pd.DataFrame({"u": [1, 2, 4.5], "v": [1, 3, 2]}), target="u"
    )
    assert data.target.names == ("u",)
    assert [column.name for column in data.schema.columns] == ["x0"]
    assert "left out: v" in data.notes[0]


def test_an_array_column_can_be_dropped_but_plays_no_other_part(tmp_path):
    np.savez(tmp_path / "t.npz", a=np.arange(4), photo=np.zeros((4, 2, 2)), y=[1.0, 2.0, 3.0, 5.0])
    data = load(tmp_path / "t.npz", target="y", drop="photo")
    assert data.arrays == {}
    with pytest.raises(DataError, match="'photo' holds an array per row"):
        load(tmp_path / "t.npz", target="photo")


def test_images_are_one_array_column():
    data = load(np.arange(16, dtype=np.uint8).reshape(4, 2, 2), [0, 1, 1, 0])
    assert data.schema.columns[0].kind == "array"
    assert data.frame.shape == (4, 0)
    assert data.n_rows == 4


def test_test_rows_of_an_npz_take_the_schema_of_the_training_rows(tmp_path):
    x = np.arange(8.0).reshape(4, 2)
    path = tmp_path / "t.npz"
    np.savez(path, x_train=x, y_train=[1.0, 2, 4, 8], x_test=x[:1], y_test=[3.0])
    data = load(path)
    assert data.test.schema == data.schema
    assert data.test.y.tolist() == [[3.0]]


# --- options ------------------------------------------------------------------------------------


def test_a_dataset_is_returned_as_it_is():
    data = load(FRAME, target="price")
    assert load(data) is data


def test_a_dataset_takes_no_options():
    with pytest.raises(OptionError, match="used as it is"):
        load(load(FRAME, target="price"), target="size")


def test_rows_under_a_schema_are_a_dataset():
    data = load(FRAME, target="price")
    again = load(FRAME, schema=data.schema)
    assert isinstance(again, Dataset)
    assert again.fingerprint == data.fingerprint


@pytest.mark.parametrize(
    "options", [{"target": "price"}, {"task": "share"}, {"drop": "size"}, {"time": "day"}]
)
def test_a_schema_takes_no_other_choice(options):
    schema = load(FRAME, target="price").schema
    with pytest.raises(OptionError, match="under a schema"):
        load(FRAME, schema=schema, **options)


def test_a_path_beside_another_source_is_refused():
    with pytest.raises(OptionError, match="--path belongs to named sets"):
        load(FRAME, target="price", path="mnist.npz")


def test_a_name_may_be_given():
    assert load(FRAME, target="price", name="shops").name == "shops"


def test_a_schema_survives_json():
    import json

    schema = load(FRAME, target="price", text="shop").schema
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_rows_can_be_taken():
    data = load(FRAME, target="price", groups="shop", time="day").take(np.array([2, 0]))
    assert data.frame["size"].tolist() == [3.0, 1.5]
    assert data.y.tolist() == [[3.0], [0.5]]
    assert data.groups.tolist() == [1, 0]


# --- descriptions -------------------------------------------------------------------------------


def test_a_description_names_kinds_target_groups_and_times():
    frame = FRAME.assign(size=[1.0, None, 3.0, 5.0], seen=[True, False, True, True])
    lines = load(frame, target="price", groups="shop", time="day").taken_for()
    assert lines == [
        "table: 4 rows, 2 feature columns",
        "number (1): size; 1 with missing cells",
        "category (1): seen (true or false, 2 levels)",
        "target: price, regression: numbers with 4 different values",
        "groups: shop, 2 different values",
        "time: day, 4 different values",
    ]


def test_a_description_ends_with_the_notes_and_the_warnings():
    frame = FRAME.assign(size=[1.0, 2.0, 3.0, 5.0], same=[7, 7, 7, 7])
    data = replace(load(frame, target="price"), warnings=("Look.",))
    assert any("same" in note for note in data.notes)
    assert data.describe() == [*data.taken_for(), *data.notes, "warning: Look."]


def test_a_description_of_many_columns_names_the_first():
    line = load(np.random.default_rng(0).normal(size=(5, 40)), np.arange(5.0)).describe()[1]
    assert line.startswith("number (40): x0, x1,")
    assert line.endswith("x11 and 28 more")


def test_a_description_counts_classes_and_test_rows(tmp_path):
    x = np.arange(12.0)[:, None]
    y = np.array(list("abc") * 4)
    np.savez(tmp_path / "t.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    lines = load(tmp_path / "t.npz").taken_for()
    assert "target: y, multiclass of 3 classes: 3 different labels" in lines
    assert lines[-1] == "test rows: 2"


@pytest.mark.parametrize("task", [set(), [1], {1: 2}, np.array(3), np.array([1, 2]), "none"])
def test_a_task_that_is_none_is_refused(task):
    with pytest.raises(OptionError, match="--task is one of"):
        load(np.eye(4), [1, 2, 3, 4], task=task)


def test_a_name_may_be_an_array_of_one():
    data = load(pd.DataFrame({3: [1.0, 2, 5], 4: [1.0, 3, 7]}), target=np.array(4))
    assert data.target.names == ("4",)


def test_a_table_without_columns_is_refused():
    with pytest.raises(DataError, match="needs columns"):
        load(np.zeros((3, 0)))


def test_numbers_that_are_codes_are_read_as_categories_where_it_is_asked(tmp_path):
    path = tmp_path / "shops.csv"
    path.write_text("code,big,y\n1,10,0.1\n2.0,20,0.2\n,30,0.3\n2,40,0.5\n", encoding="utf-8")
    data = load(path, target="y", category=["code", "big"])
    code, big = data.schema.of_kind("category")
    assert (code.levels, code.has_missing) == (("1", "2"), True)
    assert code.reason == "as asked, 2 levels"
    assert big.levels == ("10", "20", "30", "40")
    new = read_rows(pd.DataFrame({"code": [2, 7], "big": [10.0, 20.0]}), data.schema)
    assert new.frame["code"].tolist() == ["2", "7"]
    assert new.unseen == ("Column 'code': '7' did not occur in the training data (1 row).",)


def test_numbers_with_a_word_among_them_may_be_a_category_which_is_advised():
    frame = pd.DataFrame({"children": ["1", "2", "3", "more"] * 5, "y": range(20)})
    with pytest.raises(DataError, match="as a category with --category children or as text with"):
        load(frame, target="y")
    data = load(frame, target="y", category="children")
    assert data.schema.of_kind("category")[0].levels == ("1", "2", "3", "more")


def test_a_category_that_is_asked_for_plays_no_other_part():
    frame = pd.DataFrame({"code": [1, 2, 3], "y": [0.1, 0.2, 0.4]})
    with pytest.raises(DataError, match="'code' is named by --drop and --category"):
        load(frame, target="y", category="code", drop="code")
    with pytest.raises(DataError, match="--category must name a column; the table has no 'cod'"):
        load(frame, target="y", category="cod")
