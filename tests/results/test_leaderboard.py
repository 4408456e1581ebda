"""Many runs side by side: what stands in one group, what is told apart, what is left out."""

import io
from itertools import combinations

import numpy as np
import pytest
from rich.console import Console

import hpsearch
from hpsearch.console.leaderboard import leaderboard_view
from hpsearch.errors import InputError, OptionError, StorageError
from hpsearch.results import RunFolder, open_run
from hpsearch.results.comparing import compare, holm
from hpsearch.results.leaderboard import MOST_PAIRED, leaderboard
from hpsearch.results.tables import folds_table, trials_table

N_FOLDS, N_REPEATS = 4, 2
SETTINGS = {
    "data": {"name": "visits", "fingerprint": "abc", "groups": None, "time": None},
    "split": "auto",
    "seed": 0,
    "folds": N_FOLDS,
    "repeats": N_REPEATS,
    "gap": 0,
    "duplicates": "together",
    "test_size": None,
    "space": "mlp",
    "oracle": "random",
    "trials": 5,
}


def scores(mean, n=N_REPEATS * N_FOLDS, seed=0):
    return np.round(mean + 0.02 * np.random.default_rng(seed).normal(size=n), 4)


@pytest.fixture
def make_run(tmp_path):
    """Makes a finished run of one trial out of its fold scores."""

    def make_run(name, values, *, metric="mae", direction="min", **settings):
        values = np.asarray(values)
        row = {"trial": 0, "status": "completed", "score": float(values.mean()), "epochs": 20}
        folds = [
            {
                "trial": 0,
                "repeat": number // N_FOLDS,
                "fold": number % N_FOLDS,
                "n_train": 30,
                "n_val": 10,
                f"val_{metric}": value,
            }
            for number, value in enumerate(values)
        ]
        (tmp_path / name).parent.mkdir(exist_ok=True)
        folder = RunFolder.create(tmp_path / name)
        folder.write_settings(SETTINGS | settings)
        folder.write_tables(
            trials=trials_table([row], metrics=(), direction=direction),
            folds=folds_table(folds, metrics=(metric,)),
        )
        best = {"trial": 0, "metric": metric, "direction": direction, "score": row["score"]}
        best |= {"score_se": 0.02, "ci_low": row["score"] - 0.05, "ci_high": row["score"] + 0.05}
        folder.write_json("best.json", best)
        folder.release()
        return open_run(folder.path)

    return make_run


def names(group):
    return [one.run.rpartition("/")[2] for one in group.standings]


def test_runs_are_ranked_among_those_on_the_same_rows_and_folds_by_one_metric(make_run):
    runs = [
        make_run("worse", scores(0.5)),
        make_run("better", scores(0.3, seed=1)),
        make_run("reseeded", scores(0.1), seed=1),
        make_run("other-rows", scores(0.2), data={"name": "wine", "fingerprint": "d"}),
        make_run("other-metric", scores(0.2), metric="rmse"),
    ]
    board = leaderboard(runs)
    assert [(group.mark, names(group)) for group in board.groups] == [
        ("A", ["better", "worse"]),
        ("B", ["other-metric"]),
        ("C", ["other-rows"]),
        ("D", ["reseeded"]),
    ]


def test_a_score_that_is_to_be_large_ranks_first_where_it_is_largest(make_run):
    options = {"metric": "accuracy", "direction": "max"}
    runs = [make_run("a", scores(0.8), **options), make_run("b", scores(0.9), **options)]
    [group] = leaderboard(runs).groups
    assert names(group) == ["b", "a"]
    assert group.standings[0].better_than == (2,)
    assert group.duels[0].winner == 1


def test_pairs_are_compared_as_two_runs_are_and_corrected_for_all_of_a_group(make_run):
    runs = [make_run(f"r{i}", scores(0.3 + 0.06 * i, seed=i)) for i in range(4)]
    [group] = leaderboard(runs).groups
    expected = [compare(a, b) for a, b in combinations(runs, 2)]
    assert [(duel.first, duel.second) for duel in group.duels] == [*combinations((1, 2, 3, 4), 2)]
    assert [duel.difference for duel in group.duels] == [one.test.difference for one in expected]
    corrected = holm([one.test.p_value for one in expected])
    assert [duel.p_holm for duel in group.duels] == corrected
    for duel, p in zip(group.duels, corrected, strict=True):
        assert (duel.winner is not None) == (p < 0.05)
    told = {(d.first, d.second) for d in group.duels if d.winner == d.first}
    assert told
    for one in group.standings:
        assert one.better_than == tuple(j for i, j in sorted(told) if i == one.rank)
        assert one.worse_than == tuple(i for i, j in sorted(told) if j == one.rank)


def test_runs_that_chance_explains_are_not_told_apart(make_run):
    [group] = leaderboard([make_run("a", scores(0.3)), make_run("b", scores(0.301, seed=1))]).groups
    assert group.duels[0].winner is None
    assert group.standings[0].apart == "-"


def test_runs_without_common_folds_stay_in_their_group_and_it_is_said(make_run):
    [group] = leaderboard([make_run("a", scores(0.3)), make_run("b", scores(0.4, n=1))]).groups
    assert "at least two folds" in group.duels[0].missing
    assert group.duels[0].p_holm is None


def test_only_the_best_of_a_large_group_are_compared_in_pairs(make_run, monkeypatch):
    assert MOST_PAIRED == 40
    monkeypatch.setattr("hpsearch.results.leaderboard.MOST_PAIRED", 2)
    [group] = leaderboard([make_run(f"r{i}", scores(0.3 + 0.1 * i)) for i in range(3)]).groups
    assert [(duel.first, duel.second) for duel in group.duels] == [(1, 2)]


def test_what_is_no_finished_run_or_was_changed_is_left_out_with_the_reason(make_run, tmp_path):
    run, changed = make_run("a", scores(0.3)), make_run("changed", scores(0.3))
    best = changed.path / "best.json"
    folder = RunFolder.reopen(changed.path)
    folder.finish(changed.best)
    folder.release()
    best.write_text(best.read_text().replace("0.02", "0.01"))
    (tmp_path / "notes.md").write_text("no run")
    (tmp_path / "empty").mkdir()
    board = leaderboard([tmp_path / "notes.md", tmp_path / "empty", run.path, changed.path])
    assert [names(group) for group in board.groups] == [["a"]]
    reasons = dict(board.left_out)
    assert list(reasons) == [str(tmp_path / n) for n in ("notes.md", "empty", "changed")]
    assert "best.json" in reasons[str(tmp_path / "changed")]


def test_a_run_that_is_given_twice_counts_once(make_run):
    run = make_run("a", scores(0.3))
    [group] = leaderboard([run, f"{run.path}/", run.path]).groups
    assert len(group.standings) == 1


def test_no_run_at_all_is_refused(tmp_path):
    with pytest.raises(InputError, match="needs finished runs; received none"):
        leaderboard([tmp_path / "nothing"])
    with pytest.raises(InputError, match="received none"):
        leaderboard([])
    with pytest.raises(OptionError, match="is a list of runs; received"):
        leaderboard(str(tmp_path))
    with pytest.raises(OptionError, match="rope"):
        leaderboard([], rope=-1)


def test_the_table_has_a_row_for_each_run(make_run):
    board = hpsearch.leaderboard([make_run("a", scores(0.5)), make_run("b", scores(0.3, seed=1))])
    table = board.table
    assert table["rank"].tolist() == [1, 2]
    assert table["better_than"].tolist() == [[2], []]
    assert table["score"].is_monotonic_increasing
    assert {"group", "data", "metric", "space", "trials", "expected"} <= set(table.columns)


def test_the_terminal_shows_groups_ranks_and_what_was_left_out(make_run, tmp_path):
    runs = [make_run("a", scores(0.5)), make_run("b", scores(0.3, seed=1)), tmp_path / "c"]
    console = Console(file=io.StringIO(), width=100)
    console.print(leaderboard_view(leaderboard(runs)))
    text = console.file.getvalue()
    assert "A  visits: mae (lower is better), 4 folds a repeat, seed 0" in text
    assert [line.split()[:2] for line in text.splitlines()[2:4]] == [["1", "b"], ["2", "a"]]
    assert "left out:" in text


def test_a_page_that_cannot_be_written_is_an_error_of_one_line(make_run, tmp_path):
    board = leaderboard([make_run("a", scores(0.5))])
    with pytest.raises(StorageError, match="leaderboard must be writable"):
        board.html(tmp_path / "no" / "folder.html")


def test_the_page_links_reports_relative_to_where_it_is(make_run, tmp_path):
    run = make_run("my run", scores(0.5))
    (run.path / "report.html").write_text("a report")
    board = leaderboard([run])
    (tmp_path / "pages").mkdir()
    assert 'href="my%20run/report.html"' in board.html(tmp_path / "b.html").read_text()
    assert 'href="../my%20run/report.html"' in board.html(tmp_path / "pages/b.html").read_text()
