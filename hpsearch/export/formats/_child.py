"""Models converted and compared in a process of their own: Keras on TensorFlow, nothing else.

The process that asks may have Keras on another backend, and a converter may end its process. Owns
both halves: ``in_a_child`` starts the process and reads its answer, ``main`` is that process. It
writes a model in a format, reads that back in the format's own runtime, and compares predictions
row by row; what predicts anything else is refused.

A module of a model's format has, beside ``FORMAT``,

- ``cells(bundle)``: the columns that it takes (``_cells.Cells``); None where it takes what
  ``model.keras`` does.
- ``convert(bundle, path)``: writes it, and returns what there is to say about it, sentences.
- ``predictor(path)``: reads it back, and gives the function from tensors by name to the output.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.workers.environment import WORKER_ENVIRONMENT, end_with_parent
from hpsearch.errors import InputError, ModelFileError, OptionError
from hpsearch.export.bundle import Bundle, predict_encoded
from hpsearch.export.formats._cells import tensors_of
from hpsearch.export.formats._rows import made_up_rows
from hpsearch.export.graph_inputs import model_inputs
from hpsearch.preprocessing import Encoded

if TYPE_CHECKING:
    from hpsearch.results.run import Run

TOLERANCE: Final = 1e-5
"""How far a prediction may be off: a probability, or a value over the largest of its column."""

_ANSWER: Final = "hpsearch answers "
_BATCHES: Final = (1, 7)
"""Rows that are predicted apart from the others, since a converter may fix a batch's size."""


def in_a_child(name: str) -> Callable[[Run, Path], Sequence[str]]:
    """The ``Format.write`` of a model's format."""

    def write(run: Run, path: Path) -> Sequence[str]:
        Bundle.of(run)  # refuses what is damaged before TensorFlow is imported
        done = subprocess.run(
            # -P: no file of the current folder stands for a package
            [sys.executable, "-P", "-m", __name__, name, run.path, path, str(os.getpid())],
            env={**os.environ, **WORKER_ENVIRONMENT, "PYTHONPATH": _search_path()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        said = [line for line in done.stdout.splitlines() if line.startswith(_ANSWER)]
        if not said:
            reason = (done.stderr.strip() or "nothing was said").splitlines()[-1]
            raise _not_held(name, f"the converter ended with code {done.returncode}: {reason}")
        answer = json.loads(said[-1].removeprefix(_ANSWER))
        if "refused" in answer:
            raise ModelFileError(answer["refused"])
        if "system" in answer:
            raise OSError(*answer["system"])
        return list(answer["notes"])

    return write


def _search_path() -> str:
    """Where this process finds modules, the current folder aside."""
    return os.pathsep.join(folder for folder in sys.path if folder)


def main(arguments: Sequence[str]) -> None:
    """Write a model in a format and say what became of it, as the last line."""
    name, run, path, parent = arguments
    end_with_parent(int(parent))
    from hpsearch.engines.backend import import_keras
    from hpsearch.results import open_run

    try:
        import_keras(with_tuner=False)
        notes = written(name, Bundle.of(open_run(run)), Path(path))
        answer: dict[str, Any] = {"notes": notes}
    except InputError as error:
        answer = {"refused": str(error)}
    except OSError as error:
        answer = {"system": (error.errno, error.strerror or str(error))}
    print(f"\n{_ANSWER}{json.dumps(answer)}", flush=True)


def written(name: str, bundle: Bundle, path: Path) -> list[str]:
    """Write a model in a format, read it back, compare; what there is to say about it.

    Raises
    ------
    ModelFileError
        The format can't hold the model, or what was written predicts something else.
    """
    if bundle.transformer is not None:
        raise OptionError(
            "No other format holds a transformer of one's own, and this run's model stands behind "
            f"{bundle.transformer.name!r}. Predict with `hpsearch predict`, or give model.keras "
            "what the transformer gives."
        )
    home = importlib.import_module(f"hpsearch.export.formats.{name.replace('-', '_')}")
    frame, arrays = made_up_rows(bundle)
    rows = bundle.encoded(frame, arrays)
    slots = np.array(bundle.manifest["word_slots"], np.int32)
    # Before anything is traced: what Keras loads inside a graph never gets its weights.
    wanted = predict_encoded(bundle.model, rows, bundle.layout, slots)
    with _held(name):
        notes = list(home.convert(bundle, path))
        predict = home.predictor(path)
    cells = home.cells(bundle)
    if cells is None:
        tensors = model_inputs(rows, bundle.layout, slots)
    else:
        wanted = bundle.schema.target.plus_offset(wanted)
        tensors = tensors_of(cells, frame, arrays)
    with _held(name):
        found = _predicted(predict, tensors, rows)
    _check_same(name, found, wanted, bundle)
    renamed = [f"{c.column.name!r} as {c.name}" for c in cells or () if c.name != c.column.name]
    if bundle.code is not None:
        notes.append(bundle.code.words)
    if renamed:
        notes.append(f"Columns whose names it can't have: {', '.join(renamed)}.")
    return notes


def _predicted(
    predict: Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]],
    tensors: Mapping[str, NDArray[Any]],
    rows: Encoded,
) -> NDArray[Any]:
    """All rows' outputs, in batches of several sizes."""
    ends = (0, *np.cumsum(_BATCHES), rows.n_rows)
    parts = [
        predict({name: tensor[first:end] for name, tensor in tensors.items()})
        for first, end in pairwise(ends)
    ]
    return np.concatenate(parts)


def _check_same(
    name: str, found: NDArray[Any], wanted: NDArray[np.floating[Any]], bundle: Bundle
) -> None:
    """Compare row by row; values less the target's offset, by the largest of them."""
    if found.shape != wanted.shape:
        raise _not_held(name, f"it gives {found.shape} for {wanted.shape}")
    scale: Any = 1.0
    if not bundle.schema.target.is_classification:
        scale = np.abs(bundle.schema.target.less_offset(wanted)).max(axis=0)
    with np.errstate(invalid="ignore"):
        off = np.abs(found - wanted)
    worst = float(np.where(np.isfinite(off), off, np.inf).max())
    if not (off <= TOLERANCE * scale).all():
        layers = keras_internals.layers_of(bundle.model)
        is_half = any("16" in str(getattr(layer, "compute_dtype", "")) for layer in layers)
        why = "; it computes in half precision, which each runtime rounds in its own way"
        raise _not_held(
            name,
            f"what was written predicts something else, up to {worst:.3g} off{why * is_half}",
        )


@contextmanager
def _held(name: str) -> Iterator[None]:
    """Whatever a converter or a runtime raises is its word that it can't hold the model."""
    try:
        yield
    except (InputError, OSError):  # the second is the disk's word
        raise
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise _not_held(name, said if len(said) <= 300 else f"{said[:300]}…") from error


def _not_held(name: str, reason: str) -> ModelFileError:
    return ModelFileError(
        f"The format '{name}' can't hold this model ({reason.rstrip('.')}). "
        "Nothing was written; choose another --to, or use model.keras."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
