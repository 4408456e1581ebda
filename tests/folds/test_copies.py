"""Copies of rows: they are counted and said, and dealt as evenly as whole blocks allow."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.folds import choose_splitter, make_folds
from hpsearch.folds.deal import deal, equal_quotas

RNG = np.random.default_rng(3)
SEX, CLASS = RNG.choice(["f", "m"], 300), RNG.choice(["1st", "2nd", "3rd"], 300)
CHANCE = pd.Series(SEX).map({"f": 0.75, "m": 0.25}) + pd.Series(CLASS).map(
    {"1st": 0.2, "2nd": 0.0, "3rd": -0.2}
)
SURVIVED = np.where(RNG.random(300) < CHANCE, "yes", "no")
FEW = pd.DataFrame({"sex": SEX, "class": CLASS})
IGNORE = "--duplicates ignore deals them like others"


def reason(frame, y, roles=None, **options):
    data = hpsearch.load(frame, y, **(roles or {}))
    return choose_splitter(data, **options)[1]


def shares(**options):
    data = hpsearch.load(FEW, SURVIVED)
    folds = make_folds(choose_splitter(data, **options)[0], data)
    return np.array([data.y[fold.validation].mean() for fold in folds])


def test_a_table_without_copies_needs_no_word_on_them():
    said = reason(np.arange(40.0)[:, None], np.arange(40.0))
    assert said == "4 folds, 3 times: shuffled rows."


def test_a_few_copies_are_counted():
    x = np.arange(40.0)[:, None]
    x[7], x[9] = x[3], x[3]
    said = reason(x, np.arange(40.0))
    assert said.endswith("rows. 2 rows are copies of 1 other, and copies stay on one side.")


def test_few_distinct_rows_make_folds_that_differ_which_is_said_with_the_remedy():
    said = reason(FEW, SURVIVED)
    assert "294 rows are copies of 6 others" in said
    found = shares(repeats=1)
    assert f"the share of 'yes' in the validation rows is {found.min():.2f}" in said
    assert f"to {found.max():.2f}, {(SURVIVED == 'yes').mean():.2f} in the table" in said
    assert IGNORE in said


def test_copies_that_are_dealt_like_other_rows_need_no_word_and_balance():
    assert "copies" not in reason(FEW, SURVIVED, duplicates="ignore")
    found = shares(duplicates="ignore")
    assert found.max() - found.min() < 0.02


def test_balanced_folds_of_few_distinct_rows_are_said_to_be_judged_on_unknown_ones():
    said = reason(np.repeat(np.arange(6.0), 50)[:, None], np.tile(["yes", "no"], 150), folds=3)
    assert "the share of" not in said
    assert IGNORE in said


def test_a_regression_says_how_large_its_folds_are():
    said = reason(FEW, CHANCE + 0.1 * RNG.normal(size=300))
    assert "so folds hold " in said
    assert IGNORE in said


def test_copies_with_the_same_target_are_better_left_out():
    x = np.tile(np.arange(30.0), 4)[:, None]
    assert "leave one of each, or pass --duplicates ignore" in reason(x, np.tile(CHANCE[:30], 4))


def test_groups_that_share_a_copy_are_said_to_go_together():
    x = RNG.normal(size=(60, 2))
    x[0] = x[30]
    said = reason(x, np.arange(60.0), {"groups": np.repeat(np.arange(12), 5)})
    assert "Groups that share a copy go together: 12 make 11." in said


def test_in_time_order_copies_stay_at_their_times():
    said = reason(FEW, SURVIVED, {"time": np.arange(300)})
    assert said.endswith("294 rows are copies of 6 others; they stay at their times.")


def test_a_split_that_is_refused_is_refused_where_its_folds_are_made():
    data = hpsearch.load(FEW, SURVIVED)
    splitter, said = choose_splitter(data, folds=8)
    assert "copies" not in said
    with pytest.raises(hpsearch.InputError, match="at least 8 distinct rows of each class"):
        make_folds(splitter, data)


def test_until_a_winner_is_decided_repeats_are_a_maximum():
    data = hpsearch.load(np.arange(40.0)[:, None], np.arange(40.0))
    assert choose_splitter(data, repeats=5, at_most=True)[1].startswith("4 folds, up to 5 times:")


def excess(part, classes, quotas):
    loads = np.zeros_like(quotas)
    np.add.at(loads, (part, classes), 1)
    return np.abs(loads - quotas).max()


def test_blocks_that_can_be_dealt_evenly_are():
    """Two blocks of each of three kinds for two parts, in whichever order they come."""
    blocks = np.repeat(np.arange(6), [40, 33, 40, 33, 40, 33])
    classes = (np.arange(len(blocks)) % np.array([2, 3, 4, 2, 3, 4])[blocks] == 0).astype(np.int64)
    blocks = np.concatenate([blocks, blocks + 6])
    classes = np.concatenate([classes, classes])
    quotas = equal_quotas(classes, 2)
    for seed in range(20):
        part = deal(blocks, classes, quotas, np.random.default_rng(seed))
        assert excess(part, classes, quotas) <= 0.2 * quotas.max()


def test_few_blocks_are_dealt_as_evenly_as_any_exchange_of_two_allows():
    classes = (SURVIVED == "yes").astype(np.int64)
    blocks = pd.factorize(pd.Series(SEX) + pd.Series(CLASS))[0].astype(np.int64)
    quotas = equal_quotas(classes, 3)

    def cost(part):
        loads = np.zeros_like(quotas)
        np.add.at(loads, (part, classes), 1)
        over = np.column_stack([loads - quotas, (loads - quotas).sum(axis=1)])
        wanted = np.column_stack([quotas, quotas.sum(axis=1)])
        return ((np.maximum(over, 0) / wanted.sum(axis=0)) ** 2).sum()

    part = deal(blocks, classes, quotas, np.random.default_rng(0))
    of_block = np.array([part[blocks == block][0] for block in range(6)])
    for one in range(6):
        for other in range(6):
            swapped = of_block.copy()
            swapped[[one, other]] = of_block[[other, one]]
            assert cost(swapped[blocks]) >= cost(part) - 1e-9
