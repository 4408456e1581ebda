"""What an exported model takes, as model.json says it."""

import pandas as pd

import hpsearch
from hpsearch.export.inputs import described_inputs, described_output
from hpsearch.preprocessing import Layout, encode
from hpsearch.task import Target


def test_every_feature_of_every_input_is_described_in_its_place():
    table = pd.DataFrame(
        {
            "day": pd.date_range("2021-01-01", periods=40, freq="D").astype("str"),
            "size": ["s", "m", "l", None] * 10,
            "rooms": [1.0, 2.5, 3.0, 4.0] * 10,
            "note": ["a good flat", "a bad flat", "no lift", "old"] * 10,
            "rent": range(40),
        }
    )
    data = hpsearch.load(table, target="rent", text="note", task="regression")
    layout = Layout.of(data.schema)
    described = {each["name"]: each for each in described_inputs(data.schema, layout)}
    encoded = encode(data.schema, data.frame, data.arrays, data.n_rows)
    assert described["numbers"]["shape"] == [encoded.numbers.shape[1]]
    assert len(described["numbers"]["features"]) == encoded.numbers.shape[1]
    [size] = described["codes"]["features"]
    codes = [size["codes"].get(c, size["missing"]) for c in table["size"]]
    assert codes == encoded.codes[:, 0].tolist()
    [note] = described["words"]["features"]
    assert note["n_words"] == encoded.words.shape[1]


def test_an_output_has_a_column_a_class_or_a_target():
    of_three = Target(("size",), "multiclass", ("l", "m", "s"))
    assert described_output(of_three)["columns"] == [f"probability of {s!r}" for s in "lms"]
    far = Target(("jd",), "regression", offset=(2459000.0,))
    assert described_output(far) == {"columns": ["jd"], "plus": [2459000.0]}
