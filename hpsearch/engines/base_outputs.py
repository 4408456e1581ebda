"""What a frozen base gives, made once over the table in place of once an epoch.

Made once for each fold, whose statistics preprocess its rows, and kept beside the data as
``FitData.fold_rows`` (memory-mapped, float32), for every candidate with the same base. Where a
network is cut belongs to ``frozen_base``.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.configuration import Configuration
from hpsearch.engines.contract import Job
from hpsearch.engines.fit_data import FitData, new_fold_rows, read_fit_data, write_fit_data
from hpsearch.engines.frozen_base import Cut, cut_of
from hpsearch.engines.initial import numpy_draws
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.workers.files import here
from hpsearch.preprocessing import Layout, Statistics

MOST_BYTES: Final = 4 * 2**30
"""Of the outputs of all folds together; where there would be more, the base is run each epoch."""

ROWS: Final = 256
"""Rows of a batch of the base."""

_REFUSED: Final = "refused"


def shortened(job: Job, configuration: Configuration) -> tuple[Job, Any]:
    """What trains in place of a configuration: its networks' heads on what their base gives.

    The configuration itself where there is no frozen base; where an earlier phase may have changed
    it; where two builds make another one; or where its outputs would be too many.
    """
    if configuration.phase:
        return job, configuration
    with numpy_draws():
        cut = cut_of(configuration.construct())
    if cut is None:
        return job, configuration
    path = _path_of_outputs(job, configuration, cut)
    if path is None:
        return job, configuration
    ours = replace(job, data_path=path)
    return ours, configuration.of_heads(ours, read_fit_data(path))


def _path_of_outputs(job: Job, configuration: Configuration, cut: Cut) -> str | None:
    """Where the data with a base's outputs lie; None where they can't stand for it."""
    data, form = read_fit_data(job.data_path), configuration.input_form
    shape = tuple(cut.base.output.shape[1:])
    if 4 * (len(data.folds) + 1) * data.encoded.n_rows * int(np.prod(shape)) > MOST_BYTES:
        return None
    digest = digest_of(cut.base, form)
    folder = Path(here(job.data_path)).parent / f"base-{digest[:16]}"
    if not folder.is_dir():
        with numpy_draws():
            again = cut_of(configuration.construct())
        if again is None or digest_of(again.base, form) != digest:
            return None
    return _outputs_in(folder, cut.base, data, form)


def digest_of(base: Any, form: InputForm) -> str:
    """A digest of all that a base's outputs follow from, beside the data.

    Of a layer that does not tell its configuration each build is another one, so that its outputs
    are not kept.
    """
    import keras

    weights = hashlib.sha256()
    for weight in base.get_weights():
        weights.update(np.ascontiguousarray(weight).tobytes())
    shapes = [list(weight.shape) for weight in base.weights]
    try:
        layers = keras_internals.without_names(base.get_config())
    except Exception:  # whatever a layer of one's own raises
        layers = id(base)
    parts = [weights.hexdigest(), shapes, layers, form.names, keras.backend.backend()]
    return hashlib.sha256(json.dumps(parts, default=_plain).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """What a layer of one's own has in its configuration that JSON doesn't know."""
    return value.tolist() if hasattr(value, "tolist") else type(value).__name__


def _outputs_in(folder: Path, base: Any, data: FitData, form: InputForm) -> str | None:
    """Where the data with a base's outputs lie, made by the process that comes first.

    None where the base gives something else in training mode.
    """
    from filelock import FileLock

    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            unfinished = Path(tempfile.mkdtemp(dir=folder.parent))
            if _is_deterministic(base, data, form):
                _write_outputs(unfinished, base, data, form)
            else:
                (unfinished / _REFUSED).touch()
            os.rename(unfinished, folder)
    if (folder / _REFUSED).exists():
        return None
    return str(folder / Path(_NAME))


_NAME: Final = "fit_data.joblib"


def _is_deterministic(base: Any, data: FitData, form: InputForm) -> bool:
    """Whether some rows give the same in both modes, and leave the weights as they are.

    A layer of one's own need not tell.
    """
    import keras

    encoded = data.encoded_in(None).take(slice(0, 8))
    rows = form.rows(encoded, data.layout, data.statistics_of(None, form.names))
    before = base.get_weights()
    one, other = (keras.ops.convert_to_numpy(base(rows, training=mode)) for mode in (True, False))
    stays = all(map(np.array_equal, before, base.get_weights()))
    base.set_weights(before)
    return stays and np.allclose(one, other, rtol=1e-4, atol=1e-5)


def _write_outputs(folder: Path, base: Any, data: FitData, form: InputForm) -> None:
    n_rows, shape = data.encoded.n_rows, tuple(base.output.shape[1:])
    outputs = new_fold_rows(folder, (len(data.folds) + 1, n_rows, *shape))
    for number, position in enumerate([*range(len(data.folds)), None]):
        statistics = data.statistics_of(position, form.names)
        encoded = data.encoded_in(position)
        for first in range(0, n_rows, ROWS):
            rows = np.minimum(first + np.arange(ROWS), n_rows - 1)  # of one size, compiled once
            given = form.rows(encoded.take(rows), data.layout, statistics)
            block = np.asarray(base.predict_on_batch(given))
            outputs[number, first : first + ROWS] = block[: n_rows - first]
    write_fit_data(_with_outputs(data, outputs), folder)


def _with_outputs(data: FitData, outputs: NDArray[np.float32]) -> FitData:
    """The same rows, target and folds, with a base's outputs in place of all columns."""
    layout = Layout(
        has_exposure=data.layout.has_exposure,
        prepared=outputs.shape[2:],
        n_means=data.layout.n_means,
    )
    return replace(
        data,
        encoded=data.encoded.without_features(),
        layout=layout,
        statistics=_of_no_columns(data.statistics),
        refit_statistics=_of_no_columns(data.refit_statistics),
        bags=None,
        fold_rows=outputs,
    )


_OF_COLUMNS: Final = (
    *("fill", "centre", "scale", "category_slots", "word_slots"),
    *("array_centre", "array_scale"),
)


def _of_no_columns(statistics: Statistics) -> Statistics:
    """What the target's statistics are, with nothing of columns."""
    none = {name: getattr(statistics, name)[..., :0] for name in _OF_COLUMNS}
    return replace(statistics, **none, views={})
