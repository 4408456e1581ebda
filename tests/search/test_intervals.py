"""Ranges and sets of a run, from its out-of-fold predictions to ``predict``."""

import json

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.errors import OptionError
from hpsearch.results.files import to_json_text

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Outside what the training data held"),
]

SPACE = """
def declare(hp, problem):
    hp.Choice("rate", [0.1, 0.2])


def build(hp, problem):
    raise NotImplementedError
"""
N = 160


def table(kind, n=N, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    signal = x @ [1.0, -2.0] + rng.normal(size=n)
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1]})
    target = {
        "regression": {"y": signal},
        "two": {"y": signal, "z": 100.0 * signal + 50.0 * rng.normal(size=n)},
        "binary": {"y": np.where(signal > 0, "yes", "no")},
        "multiclass": {"y": np.array(["low", "mid", "high"])[np.digitize(signal, [-1.0, 1.0])]},
        "multilabel": {"p": (signal > 0).astype(int), "q": (x[:, 0] > 0).astype(int)},
    }[kind]
    return frame.assign(**target), list(target)


@pytest.fixture(scope="module")
def search(pretend_here, tmp_path_factory):
    """Search on a table of a kind, predicted by what stands for Keras; the run."""
    folder = tmp_path_factory.mktemp("intervals")
    (folder / "space.py").write_text(SPACE)
    runs = {}

    def search(kind):
        if kind not in runs:
            frame, names = table(kind)
            data = hpsearch.load(frame, target=names if len(names) > 1 else names[0])
            options = {"folds": 4, "repeats": 2, "epochs": 6, "trials": 2, "race": "off"}
            options |= {"space": folder / "space.py", "out": folder / kind, "test_size": 0.25}
            options |= {"engine": "pretended", "baselines": False, "quiet": True}
            runs[kind] = hpsearch.Search(**options).run(data)
        return runs[kind]

    with pretend_here():
        yield search


@pytest.mark.parametrize("kind", ["regression", "two"])
def test_ranges_hold_new_numbers_as_often_as_was_asked(search, kind):
    run, (new, names) = search(kind), table(kind, n=4000, seed=1)
    plain = hpsearch.predict(run, new)
    found = hpsearch.predict(run, new, interval=0.9)
    pd.testing.assert_frame_equal(found[names], plain)
    assert list(found.columns) == [
        *names,
        *(f"{end}.{n}" for n in names for end in ("low", "high")),
    ]
    for name in names:
        held = (found[f"low.{name}"] <= new[name]) & (new[name] <= found[f"high.{name}"])
        assert held.mean() == pytest.approx(0.9, abs=0.06)
        middle = (found[f"low.{name}"] + found[f"high.{name}"]) / 2
        np.testing.assert_allclose(middle, found[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_sets_hold_new_classes_as_often_as_was_asked(search, kind):
    run, (new, _) = search(kind), table(kind, n=4000, seed=1)
    plain = hpsearch.predict(run, new)
    found = hpsearch.predict(run, new, interval=0.9)
    pd.testing.assert_frame_equal(found.drop(columns="set"), plain)
    assert list(found.columns[:2]) == ["prediction", "set"]
    sets = [set(cell.split(" | ")) for cell in found["set"]]
    held = [truth in members for truth, members in zip(new["y"], sets, strict=True)]
    assert np.mean(held) == pytest.approx(0.9, abs=0.06)
    said = zip(found["prediction"], sets, strict=True)
    assert all(predicted in members for predicted, members in said)


def test_what_was_held_out_of_fold_and_of_test_rows_stands_in_ledger_card_show_and_report(search):
    from io import StringIO

    from rich.console import Console

    from hpsearch.console.views import run_view
    from hpsearch.report.parts.decided import decided_section
    from hpsearch.results.reporting import material_of

    run = search("regression")
    found = run.ledger.decided.intervals
    assert (found.form, found.n_rows, found.n_blocks) == ("range", 120, 120)
    [nine] = found.at(0.9)
    assert nine.share == pytest.approx(0.9, abs=0.04)
    assert nine.test == pytest.approx(0.9, abs=0.15)
    card = (run.path / "model_card.md").read_text()
    assert "| target | asked | held out of fold | median width | test rows |" in card
    assert "up to 0.991 can be asked for" in card
    console = Console(width=120, file=StringIO())
    console.print(run_view(run))
    assert "intervals  ranges of numbers that hold what comes" in console.file.getvalue()
    section = decided_section(material_of(run))
    assert "it predicts ranges of numbers" in section.lead
    assert [row[0].text for row in section.tables[0].rows] == ["0.5", "0.8", "0.9", "0.95"]


@pytest.fixture
def read_as(search, tmp_path):
    """A search on the numbers' table, read in some way; ``search`` has its context open."""
    (tmp_path / "space.py").write_text(SPACE)

    def read_as(**options):
        frame, _ = table("regression")
        frame = frame.assign(patient=np.arange(N) // 4, day=np.arange(N))
        data = hpsearch.load(frame, target="y", **options)
        options = {"folds": 4, "repeats": 1, "epochs": 4, "trials": 1, "baselines": False}
        options |= {"space": tmp_path / "space.py", "out": tmp_path / "run", "quiet": True}
        return hpsearch.Search(**options, engine="pretended").run(data)

    return read_as


def test_groups_count_once(read_as):
    found = read_as(groups="patient").ledger.decided.intervals
    assert (found.n_rows, found.n_blocks) == (N, N // 4)
    assert "The 160 rows are in 40 groups or copies, of which each counts once" in " ".join(
        found.remarks()
    )


def test_in_the_order_of_time_nothing_is_promised(read_as):
    found = read_as(time="day").ledger.decided.intervals
    assert found.in_time
    assert found.n_rows < N, "the first rows were never predicted"
    said = " ".join(found.remarks())
    assert "by the scores of earlier folds" in said
    assert "errors to come are like past ones" in said


def test_a_run_of_many_rows_keeps_few_numbers(search):
    kept = search("two").manifest["decisions"]["intervals"]
    assert len(kept["scores"]) == 2
    assert len(json.dumps(kept)) < 20_000


def test_a_level_for_which_there_are_too_few_rows_names_the_highest(search):
    with pytest.raises(OptionError, match=r"needs 999 rows.*has 120, which allow 0\.991 at most"):
        hpsearch.predict(search("binary"), table("binary")[0], interval=0.999)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, "0.9", float("nan")])
def test_a_level_is_a_share(search, level):
    with pytest.raises(OptionError, match="between 0 and 1"):
        hpsearch.predict(search("binary"), table("binary")[0], interval=level)


def test_several_labels_a_row_are_refused(search):
    run = search("multilabel")
    assert run.ledger.decided.intervals is None
    assert "decisions" not in run.manifest
    with pytest.raises(OptionError, match="multilabel problem has neither"):
        hpsearch.predict(run, table("multilabel")[0], interval=0.9)


@pytest.fixture
def older(search, tmp_path):
    """A run as it was written before there were intervals; or with other ones."""
    import shutil

    def older(**changed):
        shutil.copytree(search("regression").path, tmp_path / "older")
        for name, drop in (("model.json", "decisions"), ("best.json", "sha256")):
            document = json.loads((tmp_path / "older" / name).read_text())
            del document[drop]
            document |= changed if name == "model.json" else {}
            (tmp_path / "older" / name).write_text(to_json_text(document))
        return tmp_path / "older"

    return older


def test_an_older_run_says_that_it_has_none(older):
    with pytest.raises(OptionError, match=r"as an older version wrote it\. Run the search again"):
        hpsearch.predict(older(), table("regression")[0], interval=0.9)


WHOLE = {"n_blocks": 9, "shares": [0.5, 1.0], "scores": [[1.0, 2.0]], "powers": [1.0]}


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {**WHOLE, "n_blocks": 0},
        {**WHOLE, "scores": [[]]},
        {**WHOLE, "scores": [[1.0, 2.0]] * 2},
        {**WHOLE, "scores": [["a", "b"]]},
        {**WHOLE, "shares": []},
        {**WHOLE, "shares": 7},
    ],
)
def test_damaged_quantiles_are_a_damaged_model(older, kept):
    path = older(decisions={"intervals": kept})
    with pytest.raises(hpsearch.errors.ModelFileError, match=r"model\.json says what the model"):
        hpsearch.predict(path, table("regression")[0], interval=0.9)


def test_search_estimators_give_ranges_and_sets(search, tmp_path):
    (tmp_path / "space.py").write_text(SPACE)
    options = {"space": tmp_path / "space.py", "engine": "pretended", "trials": 1, "folds": 3}
    options |= {"repeats": 1, "epochs": 5, "baselines": False}
    frame, _ = table("multiclass")
    x, y = frame[["a", "b"]], frame["y"]
    classifier = hpsearch.SearchClassifier(**options).fit(x, y)
    regressor = hpsearch.SearchRegressor(**options).fit(x, frame["a"] * 2)
    sets, ranges = classifier.predict_set(x, 0.8), regressor.predict_interval(x, 0.8)
    assert sets.shape == (N, 3)
    held = sets[np.arange(N), np.searchsorted(classifier.classes_, y)]
    assert held.mean() == pytest.approx(0.8, abs=0.15)
    assert ranges.shape == (N, 2)
    middle = regressor.predict(x)
    assert ((ranges[:, 0] <= middle) & (middle <= ranges[:, 1])).all()
    column = hpsearch.SearchRegressor(**options).fit(x, frame[["a"]].to_numpy())
    assert column.predict_interval(x).shape == (N, 1, 2)
    with pytest.raises(OptionError, match="between 0 and 1"):
        regressor.predict_interval(x, 1.5)
