"""The decimal sign of a column that leaves two readings follows from the table's other columns."""

import pandas as pd
import pytest

from hpsearch.data import load, read_rows
from hpsearch.data.dataset import Schema

N = 24
POINTS = [f"{900 + i * 1313:,}".replace(",", ".") for i in range(N)]
COMMAS = [f"{900 + i * 1313:,}" for i in range(N)]
CLASSES = [str(i % 2) for i in range(N)]


def csv(separator, **columns):
    quoted = {name: [f'"{cell}"' for cell in cells] for name, cells in columns.items()}
    rows = [separator.join(row) for row in zip(*quoted.values(), strict=True)]
    return "\n".join([separator.join(columns), *rows]) + "\n"


def loaded(write, separator, **columns):
    return load(write(csv(separator, **columns, y=CLASSES)), target="y")


def test_points_stand_between_thousands_where_other_columns_have_decimal_commas(write):
    data = loaded(write, ";", price=POINTS, w=[f"{i},{i % 10}" for i in range(N)])
    assert data.frame["price"].tolist()[:3] == [900, 2213, 3526]
    assert data.schema.columns[0].number_format == "1.234,5"
    assert "'price' has a point that may be a decimal sign" in data.warnings[0]
    assert "line 3 ('2.213')" in data.warnings[0].replace("lines", "line")


def test_points_are_decimal_signs_elsewhere_and_doubtful_where_some_cells_have_none(write):
    data = loaded(write, ",", price=POINTS, w=[str(i) for i in range(N)])
    assert data.frame["price"].tolist()[:2] == [900, 2.213]
    assert "taken for a decimal sign, so that '2.213' is 2.213" in data.warnings[0]


@pytest.mark.parametrize("separator", [",", "\t"])
def test_decimals_of_three_digits_are_ordinary(write, separator):
    data = loaded(write, separator, price=[f"{1 + i / 1000:.3f}" for i in range(N)])
    assert data.warnings == ()
    assert not any("price" in note for note in data.notes)


def test_commas_stand_between_thousands_where_other_columns_have_decimal_points(write):
    data = loaded(write, ",", price=COMMAS, w=[f"{i}.25" for i in range(N)])
    assert data.frame["price"].tolist()[:3] == [900, 2213, 3526]
    assert data.warnings == ()
    assert "Numbers written like '1,234.5' were read as plain numbers in price." in data.notes


def test_commas_are_decimal_signs_between_semicolons(write):
    data = loaded(write, ";", price=[f"{1 + i / 1000:.3f}".replace(".", ",") for i in range(N)])
    assert data.frame["price"].tolist()[:2] == [1, 1.001]
    assert "Decimal commas were read in price." in data.notes
    assert data.warnings == ()


@pytest.mark.parametrize(("name", "separator"), [("t.csv", ","), ("t.csv", ";"), ("t.tsv", "\t")])
def test_decimal_commas_are_read_whatever_separates_cells(write, name, separator):
    cells = [f"{i * 1.37:.2f}".replace(".", ",") for i in range(N)]
    data = load(write(csv(separator, a=cells, y=CLASSES), name), target="y")
    assert data.frame["a"].tolist() == [round(i * 1.37, 2) for i in range(N)]


def test_a_row_is_read_as_its_schema_says_whatever_stands_beside_it(write):
    data = loaded(write, ";", price=POINTS, w=[f"{i},{i % 10} €" for i in range(N)])
    schema = Schema.from_json(data.schema.to_json())
    assert schema == data.schema
    for row in pd.DataFrame({"price": ["2.213"], "w": ["1,1 €"]}), write("w,price\n1.1,2.213\n"):
        frame = read_rows(row, schema).frame
        assert frame.to_dict("list") == {"price": [2213], "w": [1.1]}


def test_a_schema_without_forms_is_read_as_plain_numbers():
    data = load(pd.DataFrame({"a": [1.5, 2.5, 4.0], "y": [1.0, 2.0, 5.0]}), target="y")
    old = data.schema.to_json()
    for column in old["columns"]:
        del column["number_format"]
    del old["target"]["number_formats"]
    assert Schema.from_json(old) == data.schema
