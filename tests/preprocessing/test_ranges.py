"""Raw ranges: what stands at each position of a network's input, before any statistics."""

import numpy as np
from numpy.testing import assert_array_equal

from hpsearch.preprocessing import Layout, encode, raw_range
from hpsearch.preprocessing.ranges import positions_of


def test_positions_follow_the_order_of_a_networks_input(mixed_schema):
    layout = Layout.of(mixed_schema, max_levels=4, max_words=2)
    positions = positions_of(layout)
    assert len(positions) == layout.input_shape[0]
    assert [p.name for p in positions[: len(layout.numbers)]] == list(layout.numbers)
    kinds = [p.kind for p in positions]
    order = ["number", "missing", "slot", "channel"]
    assert list(dict.fromkeys(kinds)) == order
    assert kinds == sorted(kinds, key=order.index)
    assert [p.name for p in positions if p.kind == "missing"] == ["age", "day.days"]
    assert {p.index for p in positions if p.kind == "channel"} == {0}


def test_ranges_are_those_of_the_present_cells(mixed_schema, mixed_rows):
    layout = Layout.of(mixed_schema, max_levels=4, max_words=2)
    encoded = encode(mixed_schema, *mixed_rows, 40)
    found = raw_range(encoded, layout)
    age = mixed_rows[0]["age"]
    assert (found.low[0], found.high[0]) == (np.float32(age.min()), np.float32(age.max()))
    for position, low, high in zip(found.positions, found.low, found.high, strict=True):
        if position.kind in ("missing", "slot"):
            assert (low, high) == (0.0, 1.0)
    images = mixed_rows[1]["image"].reshape(40, -1)
    assert_array_equal(found.high[-6:], images.max(axis=0))


def test_an_array_alone_keeps_its_shape(mixed_schema, mixed_rows):
    from dataclasses import replace

    schema = replace(mixed_schema, columns=mixed_schema.of_kind("array"))
    layout = Layout.of(schema)
    found = raw_range(encode(schema, *mixed_rows, 40), layout)
    assert found.low.shape == found.high.shape == layout.input_shape
