"""Prediction of raw rows: read, encoded and decoded as the model was trained, whatever comes."""

import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hpsearch
from hpsearch.errors import BundleError, DataError, InputError, ModelFileError
from hpsearch.export.bundle import predict_encoded
from hpsearch.export.prediction import load_model, predict_rows, prediction_frame
from hpsearch.preprocessing import Encoded, Layout, design_rows, encode
from hpsearch.scoring.observer import SilentObserver
from hpsearch.task import Target

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def patients(n=40):
    """Raw rows as a hospital might write them, with every kind of scalar column."""
    rng = np.random.default_rng(3)
    age = rng.normal(50, 10, n).round(1)
    age[::8] = np.nan
    city = rng.choice(["Lima", "Oslo", "Rome"], n).astype(object)
    city[::9] = None
    return pd.DataFrame(
        {
            "age": age,
            "city": city,
            "note": rng.choice(["no pain", "strong pain", "fever and pain"], n),
            "seen": pd.date_range("2024-01-01", periods=n, freq="31h").astype(str),
            "days": 10.0 + rng.normal(size=n) + np.nan_to_num(age, nan=50) / 10,
        }
    )


def build(hp, problem):
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(3, "tanh"),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.05), problem.loss, run_eagerly=True)
    return model


class Listener(SilentObserver):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


BUDGET = {"trials": 1, "folds": 2, "repeats": 1, "epochs": 2, "batch_size": 16, "jobs": 1}


@pytest.fixture(scope="module")
def trained(train_here, tmp_path_factory):
    """A finished run, and what went into its exported model."""
    seen = []

    def remember(parts, schema, layout, *more):
        from hpsearch.export.bundle import bundle_ensemble

        seen.append((parts[0].network, schema, layout, parts[0].statistics))
        return bundle_ensemble(parts, schema, layout, *more)

    data = hpsearch.load(patients(), target="days", text="note")
    out = tmp_path_factory.mktemp("predict") / "run"
    with train_here(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpsearch.export.refit.bundle_ensemble", remember)
        run = hpsearch.Search(build, **BUDGET, engine="reference", out=out).run(data)
    return run, seen[0]


def in_memory(trained, data):
    """What the trained network predicts for rows of a Dataset, step by step."""
    network, schema, layout, statistics = trained[1]
    encoded = encode(schema, data.frame, data.arrays, data.n_rows)
    outputs = np.asarray(network.predict_on_batch(design_rows(encoded, layout, statistics)))
    return outputs * statistics.target_scale + statistics.target_centre


def test_raw_rows_are_predicted_as_the_trained_network_does(trained):
    run, _ = trained
    data = hpsearch.load(patients(), target="days", text="note")
    predicted = hpsearch.predict(run, patients())
    assert list(predicted) == ["days"]
    assert_allclose(predicted, in_memory(trained, data), rtol=1e-6)


@pytest.fixture(scope="module")
def far(train_here, tmp_path_factory):
    """Rows and targets far from zero beside their spread, and a finished run on them."""
    x = np.random.default_rng(4).random((40, 2))
    table = pd.DataFrame(
        {"northing": 5e6 + x[:, 0], "b": x[:, 1], "jd": 2459000.5 + x @ [0.3, 0.2]}
    )
    out = tmp_path_factory.mktemp("far") / "run"
    data = hpsearch.load(table, target="jd")
    with train_here():
        return table, hpsearch.Search(build, **BUDGET, engine="reference", out=out).run(data)


def test_a_target_far_from_zero_is_predicted_with_its_digits(far):
    table, run = far
    predicted = hpsearch.predict(run, table)["jd"].to_numpy()
    assert len(np.unique(predicted)) == len(table)
    assert np.abs(predicted - table["jd"]).mean() < 0.2  # float32 has steps of 0.25
    assert np.abs(predicted - np.float32(predicted)).max() > 0.01


def test_the_tables_of_a_target_far_from_zero_have_its_digits(far):
    table, run = far
    found = run.predictions.sort_values("row")
    assert_allclose(found["y_true"], table["jd"], rtol=1e-11)
    assert found["y_pred"].nunique() == len(table)
    error = np.abs(found["y_pred"] - found["y_true"])
    assert_allclose(error.groupby(found["fold"]).mean(), run.folds["val_mae"], rtol=1e-4)
    assert run.best["ledger"]["bias_corrected"]["value"] < 1.0


def test_the_card_says_what_the_file_takes_and_gives(far):
    text = (far[1].path / "model_card.md").read_text(encoding="utf-8")
    assert "It takes, so that float32 keeps their digits, northing less 5000000." in text
    assert "It gives jd less 2459001; `hpsearch predict` adds that in float64." in text


def build_embedding(hp, problem):
    import keras

    layers = [keras.Input(problem.input_shape), keras.layers.Embedding(4, 3)]
    layers += [keras.layers.Flatten(), keras.layers.Dense(1, problem.output_activation)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.5), problem.loss, run_eagerly=True)
    return model


TOKENS = np.random.default_rng(5).integers(0, 4, (40, 2))


@pytest.fixture(scope="module")
def of_tokens(train_here, tmp_path_factory):
    """A finished run of a network that looks its columns up, and what was said."""
    said = Listener()
    out = tmp_path_factory.mktemp("tokens") / "run"
    search = hpsearch.Search(
        build_embedding, **BUDGET, engine="reference", out=out, observer=said, baselines=False
    )
    with train_here():
        return search.run(hpsearch.load(TOKENS, TOKENS[:, 0] % 2)), said


def test_numbers_that_a_network_looks_up_reach_it_as_they_are(of_tokens):
    run, said = of_tokens
    assert any("looks up 'x0', 'x1' in an Embedding" in note for note in said.notes)
    model, outputs = load_model(run), hpsearch.predict(run, TOKENS)
    of_the_file = model.predict_on_batch({"numbers": TOKENS.astype(np.float32)})[:, 0]
    assert_allclose(outputs["probability.1"], of_the_file, rtol=1e-6)
    assert len(np.unique(of_the_file)) == len(np.unique(TOKENS, axis=0))


def test_numbers_that_a_network_does_not_know_are_refused(of_tokens):
    with pytest.raises(DataError, match=r"'x0' in an Embedding.* from 0 to 3; received 9"):
        hpsearch.predict(of_tokens[0], [[9, 0]])
    with pytest.raises(DataError, match=r"'x1' in an Embedding.* 1 of its cells are missing"):
        hpsearch.predict(of_tokens[0], [[1, np.nan]])


def test_the_card_says_which_numbers_are_looked_up(of_tokens):
    text = (of_tokens[0].path / "model_card.md").read_text(encoding="utf-8")
    assert "- Whole numbers from 0 to 3 are looked up in x0, x1; rows with others are refus" in text


def test_test_rows_that_cannot_be_looked_up_are_refused_before_any_training(train_here, tmp_path):
    data = hpsearch.load(TOKENS, TOKENS[:, 0] % 2)
    table = pd.DataFrame({"x0": [7], "x1": [0], "y": [1]})
    search = hpsearch.Search(
        build_embedding, **BUDGET, engine="reference", out=tmp_path / "run", test_data=table
    )
    with train_here(), pytest.raises(DataError, match="received 7"):
        search.run(data)
    assert not (tmp_path / "run" / "trials.csv").exists()


def test_the_run_may_be_given_by_its_folder(trained):
    run, _ = trained
    by_folder = hpsearch.predict(str(run.path), patients())
    pd.testing.assert_frame_equal(by_folder, hpsearch.predict(run, patients()))


def test_columns_may_come_in_any_order_and_further_ones_are_ignored(trained):
    run, _ = trained
    shuffled = patients().drop(columns="days")[["seen", "note", "city", "age"]]
    shuffled.insert(1, "insurance", "none")
    pd.testing.assert_frame_equal(
        hpsearch.predict(run, shuffled), hpsearch.predict(run, patients())
    )


def test_rows_are_predicted_one_by_one_as_they_are_together(trained):
    run, _ = trained
    together = hpsearch.predict(run, patients(6))
    alone = [hpsearch.predict(run, patients(6).iloc[[row]]) for row in range(6)]
    assert_allclose(pd.concat(alone), together, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::hpsearch.DataWarning")
def test_unseen_levels_and_missing_cells_are_predicted(trained):
    run, (_, schema, _, _) = trained
    rows = patients(5).assign(
        city=["Bern", None, "Rome", "Bern", "Oslo"],
        age=[np.nan, 40.0, np.nan, 1e6, 0.0],
        note=["other words", None, "pain", "", "fever"],
        seen=["2031-12-31", None, "1999-01-01", "2024-02-29", None],
    )
    predicted = hpsearch.predict(run, rows.drop(columns="days"))
    assert np.isfinite(predicted.to_numpy()).all()
    data = hpsearch.load(rows, schema=schema)
    assert_allclose(predicted, in_memory(trained, data), rtol=1e-6)


def test_rows_like_the_training_rows_are_predicted_without_a_word(trained):
    run, _ = trained
    predicted = predict_rows(run, patients())
    assert (predicted.notes, predicted.unseen) == ((), ())


def test_what_the_training_rows_never_held_is_a_warning(trained):
    run, _ = trained
    rows = patients(5).assign(city="Bern", age=200.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hpsearch.predict(run, rows)
    assert {entry.category for entry in caught} == {hpsearch.DataWarning}
    said = [str(entry.message) for entry in caught]
    assert "'Bern' did not occur in the training data (5 rows)" in said[0]
    assert "'age' in 5 rows, up to 200 (" in said[1]
    assert tuple(said) == predict_rows(run, rows).unseen


def test_a_file_is_predicted_like_a_frame(trained, tmp_path):
    run, _ = trained
    patients().to_csv(tmp_path / "new.csv", index=False)
    pd.testing.assert_frame_equal(
        hpsearch.predict(run, tmp_path / "new.csv"), hpsearch.predict(run, patients())
    )


def test_a_missing_column_is_named(trained):
    run, _ = trained
    with pytest.raises(DataError, match="'city' is missing"):
        hpsearch.predict(run, patients().drop(columns="city"))


def test_a_table_without_rows_is_refused(trained):
    run, _ = trained
    with pytest.raises(DataError, match="row"):
        hpsearch.predict(run, patients().head(0))


def test_the_exported_model_can_be_had_as_a_keras_model(trained):
    model = load_model(trained[0])
    assert [tensor.name for tensor in model.inputs] == ["codes", "numbers", "words"]


def test_a_model_that_was_changed_is_not_used(trained, tmp_path):
    changed = tmp_path / "run"
    shutil.copytree(trained[0].path, changed)
    with (changed / "model.keras").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match="SHA-256"):
        hpsearch.predict(changed, patients())


def test_a_model_is_loaded_once_a_process_and_again_where_its_file_is_another(trained, monkeypatch):
    run, _ = trained
    raw = patients()
    hpsearch.predict(run, raw.head(2))

    def refuse(content, path, code=None):
        raise ModelFileError("it was loaded")

    monkeypatch.setattr("hpsearch.export.bundle.load_keras_bytes", refuse)
    assert len(hpsearch.predict(run.path, raw.head(3))) == 3
    monkeypatch.setattr("hpsearch.export.prediction._opened", {})
    with pytest.raises(ModelFileError, match="it was loaded"):
        hpsearch.predict(run, raw.head(2))


def test_a_model_whose_file_changes_after_it_was_loaded_is_checked_again(trained, tmp_path):
    changed = tmp_path / "run"
    shutil.copytree(trained[0].path, changed)
    run = hpsearch.open_run(changed)
    assert len(hpsearch.predict(run, patients())) == 40
    with (changed / "model.keras").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match="SHA-256"):
        hpsearch.predict(run, patients())


def test_batches_have_few_sizes_so_that_few_programs_are_compiled():
    sizes = []

    def predict_on_batch(inputs):
        sizes.append(len(inputs["numbers"]))
        return inputs["numbers"]

    model = SimpleNamespace(predict_on_batch=predict_on_batch)
    layout = Layout(numbers=("x",))
    x = np.arange(2100, dtype=np.float32)[:, np.newaxis]
    slots = np.empty(0, np.int32)
    for n in (1, 2, 3, 5, 8, 2100):
        rows = Encoded(x[:n], np.empty((n, 0), np.int32), None, ())
        found = predict_encoded(model, rows, layout, slots, in_few_sizes=True)
        assert_array_equal(found, x[:n])
    assert sizes == [1, 2, 4, 8, 8, 1024, 1024, 64]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\. Give the folder"):
        hpsearch.predict(tmp_path, patients())


# -- how predictions are shown


def test_a_binary_prediction_has_the_probability_of_both_labels():
    frame = prediction_frame(Target(("y",), "binary", ("no", "yes")), np.array([0.25, 0.5]))
    assert list(frame) == ["prediction", "probability.no", "probability.yes"]
    assert frame["prediction"].tolist() == ["no", "yes"]
    assert_array_equal(frame["probability.no"], [0.75, 0.5])


def test_a_multiclass_prediction_is_the_most_probable_label():
    target = Target(("y",), "multiclass", (3, 5, 8))
    frame = prediction_frame(target, np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]))
    assert list(frame) == ["prediction", "probability.3", "probability.5", "probability.8"]
    assert frame["prediction"].tolist() == [5, 3]


def test_a_multilabel_prediction_has_a_column_for_each_label():
    target = Target(("p", "q"), "multilabel", ("p", "q"))
    frame = prediction_frame(target, np.array([[0.2, 0.9]]))
    assert frame.to_dict("list") == {
        "p": [0],
        "q": [1],
        "probability.p": [0.2],
        "probability.q": [0.9],
    }


def test_values_have_the_names_of_their_targets():
    frame = prediction_frame(Target(("a", "b"), "regression"), np.array([[1.0, 2.0]]))
    assert frame.to_dict("list") == {"a": [1.0], "b": [2.0]}
