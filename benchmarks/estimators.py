"""One network as an estimator, on iterated K-fold: hpsearch's ``cross_val_score`` and scikeras's.

    python benchmarks/estimators.py             # 12 folds of 100 epochs by each
    python benchmarks/estimators.py --epochs 30

The rows of scikit-learn's breast cancer set, two Dense(64), Adam, batches of 32, on the 4 folds x 3
repeats of ``IteratedStratifiedKFold``: the same folds for all. scikeras stands behind a
``StandardScaler`` in a pipeline, since its network has no preprocessing, and is scored by
scikit-learn's ``cross_val_score``. So is hpsearch's ``KerasClassifier``, beside its own
``cross_val_score``, which trains all folds at once. Its first call starts processes and compiles
(the cache is empty at the beginning), the second is what follows in a session.

All run in this process, one after the other, so that a machine's other work falls on each: ours
before and after the others. Printed are seconds, the mean accuracy, and the ratio.

Needs the extra: ``pip install '.[bench]'``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

from networks import two_layers

K, P, BATCH = 4, 3, 32


def ours(hp, problem):
    """The network for hpsearch."""
    return two_layers(
        problem.input_shape, problem.n_outputs, problem.output_activation, problem.loss
    )


def theirs(meta):
    """The network for scikeras."""
    shape = (meta["n_features_in_"],)
    return two_layers(shape, 1, "sigmoid", "binary_crossentropy")


def timed(name, call):
    """What a call gives, said with its seconds; and these."""
    began = time.perf_counter()
    scores = call()
    seconds = time.perf_counter() - began
    print(f"{name:<58}{seconds:8.1f} s   accuracy {scores.mean():.4f}", flush=True)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100)
    epochs = parser.parse_args().epochs
    with tempfile.TemporaryDirectory() as cache:
        os.environ |= {"XDG_CACHE_HOME": cache, "TF_CPP_MIN_LOG_LEVEL": "3"}
        measure(epochs)


def measure(epochs):
    from scikeras.wrappers import KerasClassifier
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import hpsearch

    X, y = load_breast_cancer(return_X_y=True)
    folds = hpsearch.IteratedStratifiedKFold(K, P, random_state=0)
    estimator = hpsearch.KerasClassifier(ours, epochs=epochs, batch_size=BATCH)
    wrapped = KerasClassifier(theirs, epochs=epochs, batch_size=BATCH, verbose=0)
    peer = make_pipeline(StandardScaler(), wrapped)

    def fused():
        return estimator.cross_val_score(X, y, cv=folds)

    print(f"{K} folds x {P} repeats x {epochs} epochs of {len(X)} rows")
    first = timed("hpsearch, its own cross_val_score, first call", fused)
    timed("hpsearch, its own cross_val_score, second call", fused)
    scikeras = timed(
        "scikeras, scikit-learn's cross_val_score", lambda: cross_val_score(peer, X, y, cv=folds)
    )
    one_by_one = timed(
        "hpsearch, scikit-learn's cross_val_score",
        lambda: cross_val_score(estimator, X, y, cv=folds),
    )
    again = timed("hpsearch, its own cross_val_score, at the end", fused)
    print(f"its own: {scikeras / first:.1f} times as fast as scikeras, the first call")
    print(f"its own: {scikeras / again:.1f} times as fast as scikeras, a later call")
    print(f"scikit-learn's: {scikeras / one_by_one:.1f} times as fast as scikeras")


if __name__ == "__main__":
    main()
