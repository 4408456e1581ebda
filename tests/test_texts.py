"""Texts and categories from end to end: by the command line, in Python, in a fresh process."""

import json
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import hpsearch
from hpsearch.errors import DataWarning
from tests.command_line import succeeded

SMALL = ("convolutions=1", "kernel_size=3", "embedding=16", "pooling=max", "units=0", "filters=32")
OTHERS = ["the", "a", "film", "was", "so", "very", "it", "plot"]
BUDGET = ("--trials", 1, "--folds", 2, "--repeats", 1, "--jobs", 1, "--no-baselines", "--quiet")


def reviews(n=300):
    """Texts in which ``not`` turns what follows it, beside a number and a category."""
    rng = np.random.default_rng(2)
    likes = rng.random(n) < 0.5
    rows = []
    for liked in likes:
        turned = rng.random() < 0.5
        words = list(rng.choice(OTHERS, rng.integers(2, 7)))
        said = "good" if liked != turned else "bad"
        at = rng.integers(len(words))
        words[at:at] = ["not", said] if turned else [said]
        rows.append(
            {"text": " ".join(words), "price": rng.normal(), "shop": rng.choice(["a", "b"])}
        )
    return pd.DataFrame(rows).assign(likes=np.where(likes, "yes", "no"))


NEW = pd.DataFrame(
    {
        "text": ["it was Good", "it was not good, not good", "unheard of", None, "good " * 30],
        "price": [0.0, 1.0, np.nan, 0.0, 0.0],
        "shop": ["a", "b", "elsewhere", None, "a"],
    }
)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A folder with a table of texts, and the run of a search on it."""
    folder = tmp_path_factory.mktemp("texts")
    reviews().to_csv(folder / "reviews.csv", index=False)
    NEW.to_csv(folder / "new.csv", index=False)
    fixes = [part for fix in (*SMALL, "learning_rate=0.02") for part in ("--fix", fix)]
    words = ("--target", "likes", "--text", "text", "--as", "tokens", "--space", "text")
    succeeded("run", "reviews.csv", *words, *fixes, "--epochs", 12, *BUDGET, folder=folder)
    return folder


def test_the_order_of_words_is_learnt_by_one_program(searched):
    run = hpsearch.open_run(searched / "results/reviews")
    settings = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    assert settings["engine"] == "fused"
    assert run.best["metrics"]["accuracy"] > 0.95  # no word tells anything by itself
    shown = succeeded("show", "results/reviews", folder=searched).stdout
    assert "reviews, binary, 300 rows, 3 columns" in shown


def test_a_fresh_process_predicts_new_texts_as_python_does(searched):
    done = succeeded("predict", "results/reviews", "new.csv", "-o", "p.csv", folder=searched)
    told = pd.read_csv(searched / "p.csv")
    with pytest.warns(DataWarning):
        found = hpsearch.predict(searched / "results/reviews", NEW)
    assert told["prediction"].tolist() == found["prediction"].tolist()
    assert found["prediction"][:2].tolist() == ["yes", "no"]
    assert_allclose(told.iloc[:, 1:], found.iloc[:, 1:].astype(float), rtol=1e-5, atol=1e-6)
    for said in (
        "Column 'text': 1 row has more than 8 words",
        "Column 'shop': 'elsewhere' did not occur",
        "Column 'text': none of the words of 1 row occurred",
    ):
        assert said in done.stderr


def test_plain_keras_follows_what_the_manifest_says_of_words(searched):
    import keras

    path = searched / "results/reviews"
    manifest = json.loads((path / "model.json").read_text(encoding="utf-8"))
    inputs = {each["name"]: each for each in manifest["inputs"]}
    [form] = inputs["tokens"]["features"]
    [levels] = [c["levels"] for c in manifest["schema"]["columns"] if c["name"] == form["column"]]
    number = {word: form["first"] + at for at, word in enumerate(levels)}
    words = [number.get(word, form["unknown"]) for word in ("it", "was", "good")]
    padded = [*words, *[form["padding"]] * (form["n_tokens"] - len(words))]
    given = {
        "tokens": np.array([padded], np.int32),
        "numbers": np.array([[0.0]], np.float32),
        "codes": np.array([[inputs["codes"]["features"][0]["codes"]["a"]]], np.int32),
    }
    model = keras.models.load_model(path / "model.keras")  # in safe mode
    expected = hpsearch.predict(path, NEW.head(1))["probability.yes"]
    assert_allclose(np.asarray(model(given))[:, 0], expected, rtol=1e-6)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """A run of a space that embeds a category of more levels than are kept."""
    folder = tmp_path_factory.mktemp("levels")
    rng = np.random.default_rng(0)
    town = rng.choice([f"t{i}" for i in range(12)], 90, p=[0.2] * 4 + [0.025] * 8)
    y = (town < "t2") + 0.1 * rng.normal(size=90)
    table = pd.DataFrame({"town": town, "x": rng.normal(size=90), "y": y})
    table.loc[::15, "town"] = None
    table.to_csv(folder / "towns.csv", index=False)
    (folder / "towns.py").write_text(
        "def build(hp, problem):\n"
        "    import keras\n"
        "    from keras import layers\n\n"
        "    found = problem.inputs['town']\n"
        "    town = keras.Input(found.shape, dtype=found.dtype, name='town')\n"
        "    x = keras.Input(problem.inputs['x'].shape, name='x')\n"
        "    width = hp.Choice('width', [2, 4])\n"
        "    levels = layers.Flatten()(layers.Embedding(found.n_codes, width)(town))\n"
        "    rows = layers.Concatenate()([levels, x])\n"
        "    model = keras.Model([town, x], layers.Dense(problem.n_outputs)(rows))\n"
        "    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=problem.loss)\n"
        "    return model\n"
    )
    words = ("--target", "y", "--space", "towns.py", "--max-levels", 4, "--epochs", 15)
    succeeded("run", "towns.csv", *words, *BUDGET, folder=folder)
    return folder / "results/towns"


def predicted(run, towns):
    frame = pd.DataFrame({"town": pd.Series(towns, dtype="str"), "x": np.zeros(len(towns))})
    with pytest.warns(DataWarning) if "nowhere" in towns else nullcontext():
        return hpsearch.predict(run, frame)["y"].tolist()


def test_an_embedded_category_has_a_vector_for_each_level_that_is_kept(embedded):
    common, other, *_ = predicted(embedded, ["t0", "t3"])
    assert common == pytest.approx(1.0, abs=0.35)
    assert other == pytest.approx(0.0, abs=0.35)


def test_rare_and_unseen_levels_of_an_embedded_category_are_the_same(embedded):
    rare, unseen, missing = predicted(embedded, ["t9", "nowhere", None])
    assert rare == unseen
    assert missing != unseen
