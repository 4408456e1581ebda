"""A cell is read alone as it was read among others when its column was learnt."""

import json

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch import HpsearchError, load
from hpsearch.data import read_rows
from hpsearch.data.dataset import Schema

PIECES = [
    *("", "1", "2.5", "1,5", "1.234", "1,234", "1.234.567", "1 234", "1\u00a0234,5", "1'234.5"),
    *("\u22125", "(5)", "(1,234.50)", "5%", "5,5 %", "$5", "5 €", "12 km", "3 g", "1:30"),
    *("1:30:00", "2h 30m", "9:05 AM", "NA", "—", "yes", "Yes", "true", "FALSE", "cat", "cat\u200b"),
    *("\u200b", "New York", "New\u00a0York", "café", "cafe\u0301", "2021-01-31", "31.01.21"),
    *("01/02/2021", "Jan 31, 2021", "03.2021", "2021年1月31日", "我觉得", "हिन्दी", "“5,5”", "'5'"),
    *("007", "1e400", "9" * 5000, "9007199254740993", "\x1b[31mred", "a\nb", "१२", "１２３"),
    *("3D", "5 A", ".5", "5."),
]
ORDINARY = st.sampled_from(["{}.5", "{},5", "{} kg", "${},234.50", "{}:30:00", "{}/1/2021", "x{}"])


@st.composite
def columns(draw):
    """A column of a few pieces, or one written in one form with some pieces among it."""
    n = draw(st.integers(2, 40))
    pieces = st.sampled_from(draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4)))
    n_pieces = draw(st.sampled_from([0, 1, 3, n]))
    form = draw(ORDINARY)
    ordinary = [form.format(draw(st.integers(1, 28))) for _ in range(n - n_pieces)]
    return draw(st.permutations([*ordinary, *(draw(pieces) for _ in range(min(n, n_pieces)))]))


@settings(deadline=None, max_examples=120)
@given(columns(), st.booleans())
def test_a_row_is_read_alone_as_it_was_among_others(cells, as_text):
    n = len(cells)
    table = pd.DataFrame({"c": cells, "x": range(n), "y": [i % 2 for i in range(n)]})
    try:
        data = load(table, target="y", text="c" if as_text else ())
    except HpsearchError:
        return
    schema = Schema.from_json(json.loads(json.dumps(data.schema.to_json())))
    assert schema == data.schema
    for row in (0, n // 2, n - 1):
        alone = read_rows(table.iloc[[row]], schema).frame
        pd.testing.assert_frame_equal(alone, data.frame.iloc[[row]].reset_index(drop=True))
