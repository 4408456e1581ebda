"""Fine-tuning in phases: a case beside training from scratch, and a base that is run once.

    python benchmarks/finetuning.py            # both, the figures of docs/finetuning.md
    python benchmarks/finetuning.py --part base

*case*: a small convolutional network learns scikit-learn's digits 0 to 4; ``--space finetune`` goes
on with it on 60 rows of 5 to 9, and the same network learns these from scratch, by searches of as
many trials on the same folds. Each is predicted on the other 836 rows of 5 to 9 as well. The rows
are drawn anew for each of ``--draws``, from 4: on the draws before, the defaults of the space and
the base's training were looked for.
*base*: one configuration whose convolutional base is frozen, trained with the base run once over
the table and with it run in every epoch, by turns in one process.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
from finetuning_space import network
from scipy import stats
from sklearn.datasets import load_digits

import hpsearch

HERE = Path(__file__).parent
N_PER_CLASS, FOLDS, REPEATS = 12, 4, 3


def case(folder: Path, draw: int, trials: int, epochs: int) -> float:
    """The two-phase case on one draw of rows; by how much the scores differ."""
    few, many = data_of_the_case(folder, draw)
    print(f"draw {draw}")
    options = {"folds": FOLDS, "repeats": REPEATS, "epochs": epochs, "trials": trials}
    options |= {"baselines": False, "metric": "log_loss", "race": "off", "quiet": True}
    runs = {}
    for name, space, fix in (
        ("fine-tuned", "finetune", {"base": str(folder / "base.keras"), "dropped_layers": 2}),
        ("from scratch", HERE / "finetuning_space.py", {}),
    ):
        out = folder / name.replace(" ", "-")
        run = hpsearch.Search(space, fix=fix, out=out, **options).run(few)
        runs[name] = run
        predicted = hpsearch.predict(run, many["x"])["prediction"]
        best, right = run.best, np.mean(predicted == many["y"])
        print(
            f"{name:<13} log_loss {best['score']:.3f} ± {best['score_se']:.3f}, accuracy "
            f"{best['metrics']['accuracy']:.3f} on {best['n_folds']} folds of {few.n_rows} rows; "
            f"{right:.3f} on {len(many['y'])} other rows"
        )
    said = hpsearch.compare(runs["fine-tuned"], runs["from scratch"])
    test, chance = said.test, said.probability
    print(
        f"difference {test.difference:.3f}, {test.low:.3f} to {test.high:.3f}, p "
        f"{test.p_value:.2g}; better with a probability of {chance.better:.2f}"
    )
    return float(test.difference)


def data_of_the_case(folder: Path, draw: int) -> tuple[hpsearch.Dataset, dict[str, np.ndarray]]:
    """60 rows of the digits 5 to 9, and the others; the base goes to ``base.keras``."""

    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, 8, 8, 1).astype("float32")
    known = y < 5
    trained_base((x[known] - x[known].mean()) / x[known].std(), y[known]).save(
        folder / "base.keras"
    )
    rng = np.random.default_rng(draw)
    of_classes = (np.flatnonzero(y == c) for c in range(5, 10))
    chosen = np.concatenate([rng.choice(rows, N_PER_CLASS, replace=False) for rows in of_classes])
    others = np.setdiff1d(np.flatnonzero(~known), chosen)
    labels = np.array([f"digit {c}" for c in y])
    few = hpsearch.load({"x": x[chosen], "y": labels[chosen]}, target="y")
    return few, {"x": x[others], "y": labels[others]}


def trained_base(x: np.ndarray, y: np.ndarray, epochs: int = 60) -> object:
    """The network of five classes, trained on images that are shifted by a pixel at most."""
    import keras

    keras.utils.set_random_seed(0)
    base = network(5, "softmax", head_dropout=0.3)
    n_steps = epochs * -(-len(x) // 32)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, n_steps)
    base.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    around = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=x.min())
    for _ in range(epochs):
        down, right = rng.integers(0, 3, (2, len(x)))
        pairs = zip(around, down, right, strict=True)
        base.fit(np.stack([one[a : a + 8, b : b + 8] for one, a, b in pairs]), y, 32, verbose=0)
    return base


def frozen_base(hp, problem):
    """A dense head on a frozen base of convolutions."""
    import keras

    layers = keras.layers
    base = keras.Sequential([keras.Input(problem.input_shape)], name="base")
    weights = np.random.default_rng(0)
    for width in (32, 64, 128):
        base.add(layers.Conv2D(width, 3, padding="same", activation="relu"))
        base.add(layers.MaxPooling2D())
    base.add(layers.Flatten())
    base.set_weights([weights.normal(0, 0.1, w.shape) for w in base.get_weights()])
    base.trainable = False
    rows = keras.Input(problem.input_shape)
    head = layers.Dense(problem.n_outputs, activation=problem.output_activation, name="head")
    model = keras.Model(rows, head(base(rows)))
    model.compile("adam", problem.loss)
    return model


def base(rounds: int, epochs: int) -> None:
    """How long a trial takes with its frozen base run once, and run in every epoch."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (400, 32, 32, 3)).astype("float32")
    labels = np.array(["dark", "light"])[(images.mean((1, 2, 3)) > images.mean()).astype(int)]
    data = hpsearch.load({"x": images, "y": labels}, target="y")
    took: dict[str, list[float]] = {"once": [], "in every epoch": []}
    predictions = {}
    train_here(data, 1)  # imports and the like
    for name in [*took] * rounds:
        whole = mock.patch("hpsearch.engines.base_outputs.cut_of", return_value=None)
        with nullcontext() if name == "once" else whole:
            predictions[name], seconds = train_here(data, epochs)
        took[name].append(seconds)
    shape = "4 folds of 400 images of 32 x 32 x 3"
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {shape}, {epochs} epochs")
    for name, each in took.items():
        print(f"base run {name:<15} {np.median(each):6.2f} s of the processor ({rounds} rounds)")
    ratios = [b / a for a, b in zip(*took.values(), strict=True)]
    print(f"ratio {np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")
    one, other = predictions.values()
    print(f"largest difference of a prediction {np.abs(one - other).max():.1e}")


def train_here(data: hpsearch.Dataset, epochs: int) -> tuple[np.ndarray, float]:
    """Train one configuration on four folds in this process; its predictions, and seconds."""
    from hpsearch.engines.contract import FitOptions, Job, WorkUnit
    from hpsearch.engines.fit_data import write_fit_data
    from hpsearch.engines.reference.engine import train_unit
    from hpsearch.folds import IteratedKFold, make_folds
    from hpsearch.preprocessing import Layout
    from hpsearch.scoring.rows import encode_dataset, fit_data
    from hpsearch.space.space import Candidate, Space

    folds = make_folds(IteratedKFold(FOLDS, 1, random_state=0), data)
    layout = Layout.of(data.schema)
    fit = fit_data(data, encode_dataset(data), folds, layout, scale_target=False, class_weight=None)
    with tempfile.TemporaryDirectory() as folder:
        options = FitOptions(0, epochs, 32, None, ("log_loss",))
        path = write_fit_data(fit, Path(folder))
        job = Job(path, Space.load(frozen_base).to_bytes(), (), options)
        began = time.process_time()
        result = train_unit(job, WorkUnit(Candidate(0, {}), tuple(range(FOLDS))))
        seconds = time.process_time() - began
    assert result.error is None, result.traceback
    return np.concatenate([fold.predictions[-1] for fold in result.folds]), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["case", "base"])
    parser.add_argument("--draws", type=int, nargs="+", default=[4, 5, 6, 7, 8])
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if asked.part != "base":
        differences = []
        for draw in asked.draws:
            with tempfile.TemporaryDirectory() as folder:
                differences.append(case(Path(folder), draw, asked.trials, asked.epochs))
        if len(differences) > 1:
            mean, p_value = np.mean(differences), stats.ttest_1samp(differences, 0.0).pvalue
            print(f"all draws: difference {mean:.3f} on average, p {p_value:.2g} (t-test of draws)")
    if asked.part != "case":
        base(asked.rounds, asked.epochs)


if __name__ == "__main__":
    main()
