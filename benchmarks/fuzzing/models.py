"""Exported models and manifests that are damaged or prepared, and predictions with them."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.fuzzing.base import Attempt, one_of
from benchmarks.fuzzing.mutations import damaged
from benchmarks.fuzzing.runs import (
    changed_json,
    command,
    copied,
    finished_run,
    loaded,
    rewritten,
    unseal,
)
from hpsearch.export.bundle import bundle_model, file_sha256, save_keras_file
from hpsearch.preprocessing import Layout, fit_statistics
from hpsearch.scoring.rows import encode_dataset

Rng = np.random.Generator


@contextlib.contextmanager
def _as_keras_and_numpy_warn() -> Iterator[None]:
    """Keras and NumPy 2.4 have not agreed on how to copy, which is not the matter here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        yield


@functools.cache
@_as_keras_and_numpy_warn()
def _model() -> Path:
    """A real model of the finished run's table, and in ``model.json`` beside it its manifest."""
    import keras

    from hpsearch.engines.network import OutputForm

    folder = finished_run().parent / "model"
    folder.mkdir()
    data = loaded(finished_run().parent)
    manifest = json.loads((finished_run() / "model.json").read_text())
    layout = Layout.of(data.schema, **manifest["limits"])
    encoded = encode_dataset(data)
    rows = np.arange(data.n_rows)
    statistics = fit_statistics(encoded, data.y, rows, layout, scale_target=False)
    network = keras.Sequential(
        [
            keras.Input(layout.input_shape),
            keras.layers.Dense(3, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    network.compile("sgd", "binary_crossentropy")
    form = OutputForm.of(network, data.target)
    model = bundle_model(network, form, data.schema, layout, statistics)
    save_keras_file(model, folder / "model.keras")
    slots = [int(slot) for slot in statistics.word_slots]
    known = {"backend": keras.backend.backend(), "word_slots": slots}
    (folder / "model.json").write_text(json.dumps({**manifest, **known}))
    return folder


def attempt(rng: Rng, folder: Path) -> Attempt:
    """A run with a damaged model or manifest, and a prediction with it."""
    run = copied(folder)
    unseal(run)
    for name in ("model.keras", "model.json"):
        shutil.copy(_model() / name, run / name)
    said = one_of(rng, (_bytes, _config, _weights, _members, _manifest, _manifest))(rng, run)
    if rng.random() < 0.9:
        _fit_digest(run)
    words = ("predict", run, finished_run().parent / "table.csv", "-o", folder / "out.csv")
    return Attempt(said, _as_keras_and_numpy_warn()(partial(command, *words)))


def _fit_digest(run: Path) -> None:
    try:
        manifest = json.loads((run / "model.json").read_text())
        manifest["sha256"] = file_sha256(run / "model.keras")
    except (TypeError, ValueError):
        return
    (run / "model.json").write_text(json.dumps(manifest))


def _manifest(rng: Rng, run: Path) -> str:
    return rewritten(run / "model.json", partial(changed_json, rng))


def _bytes(rng: Rng, run: Path) -> str:
    content, said = damaged(rng, (run / "model.keras").read_bytes())
    (run / "model.keras").write_bytes(content)
    return f"model.keras: {said}"


def _config(rng: Rng, run: Path) -> str:
    members = _read(run)
    value, said = changed_json(rng, json.loads(members["config.json"]))
    _write(run, {**members, "config.json": json.dumps(value).encode()})
    return f"config.json: {said}"


def _weights(rng: Rng, run: Path) -> str:
    members = _read(run)
    content, said = damaged(rng, members["model.weights.h5"])
    _write(run, {**members, "model.weights.h5": content})
    return f"model.weights.h5: {said}"


def _members(rng: Rng, run: Path) -> str:
    members = _read(run)
    name = one_of(rng, members)
    what = one_of(rng, ("lose", "empty", "exchange", "add", "many zeros"))
    if what == "lose":
        del members[name]
    elif what == "empty":
        members[name] = b""
    elif what == "exchange":
        members[name] = members[one_of(rng, members)]
    elif what == "add":
        members[str(one_of(rng, ("../evil", "/evil", "assets/x", "a" * 300)))] = b"x"
    else:
        members[name] = bytes(10**7)
    _write(run, members)
    return f"{name}: {what}"


def _read(run: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(run / "model.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(run: Path, members: dict[str, bytes]) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    (run / "model.keras").write_bytes(stream.getvalue())
