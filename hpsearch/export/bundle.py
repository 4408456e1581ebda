"""The exported model: one ``.keras`` file from raw cells to decoded predictions, and its manifest.

Owns the format of ``model.keras`` and ``model.json`` and reading them back. Preprocessing is part
of the network, made of Keras's own operations, so that plain ``keras.models.load_model`` loads it
in safe mode, without hpsearch, and without the space's file where it holds Keras's own objects
alone (``code``). Training it belongs to ``refit``.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.dataset import Dataset, Schema
from hpsearch.decisions.intervals import Conformity, check_form
from hpsearch.engines.backend import import_keras_quietly
from hpsearch.engines.initial import numpy_draws, zeros_drawn
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.lookups import Lookups
from hpsearch.engines.network import side_by_side
from hpsearch.errors import InputError, ModelFileError, OptionError
from hpsearch.export.code import Code
from hpsearch.export.graph_inputs import model_inputs, symbolic_inputs
from hpsearch.export.lengths import by_length, open_in_export, open_in_network
from hpsearch.export.members import Part
from hpsearch.export.transformer import Kept
from hpsearch.keras_settings import check_keras_json, keras_settings
from hpsearch.paths import opened
from hpsearch.preprocessing import Encoded, Layout, Statistics, beside_prepared, encode
from hpsearch.preprocessing.inputs import design_inputs
from hpsearch.results.layout import TRANSFORMERS
from hpsearch.space.registered import known
from hpsearch.space.source import SpaceSource, objects_of
from hpsearch.task import Target
from hpsearch.transformers.fitting import feature_frame

if TYPE_CHECKING:
    from hpsearch.decisions.calibrators import Calibrator
    from hpsearch.engines.network import OutputForm
    from hpsearch.results import Run

BUNDLE_FORMAT = "hpsearch model 1"
DESCRIBED = "hpsearch.json"
"""Inside ``model.keras``: those parts of the manifest that a program needs which predicts."""

_NO_DATE = (1980, 1, 1, 0, 0, 0)
PREDICT_ROWS, PREDICT_CELLS = 1024, 2**22
"""Rows of one prediction batch, or fewer where they are so wide that a batch would have more cells;
fixed for a layout, since the batch's size can change the last bit."""


def bundle_model(
    network: Any, form: OutputForm, schema: Schema, layout: Layout, statistics: Statistics
) -> Any:
    """The network with its preprocessing before it and its decoding behind it.

    Parameters
    ----------
    network : a trained ``keras.Model`` of preprocessed rows.
    form : how its outputs become canonical predictions.
    statistics : of all rows it was trained on.

    Returns
    -------
    A functional ``keras.Model`` of the named inputs that ``model_inputs`` makes. A binary
    problem's output has the shape (n, 1); values come less the target's offset, in float32.
    """
    return bundle_ensemble([Part(network, form, statistics)], schema, layout)


def bundle_ensemble(
    parts: Sequence[Part],
    schema: Schema,
    layout: Layout,
    calibrator: Calibrator | None = None,
) -> Any:
    """The weighted mean of several networks' canonical predictions, in one graph.

    They share its inputs; each has its own preprocessing, since each learnt its statistics from its
    own training rows. Canonical predictions are what is averaged: probabilities, and values in the
    target's own units. Outputs before that have no common scale.

    Parameters
    ----------
    parts : the networks; their weights sum to 1.
    calibrator : what calibrates the probabilities of the mean.

    Returns
    -------
    As ``bundle_model``.
    """
    import keras

    any_length = all(open_in_network(part.network, layout) for part in parts)
    inputs = symbolic_inputs(layout, any_length=any_length)
    found = [
        _canonical_outputs(part, inputs, schema, layout, "" if len(parts) == 1 else f"member_{i}")
        for i, part in enumerate(parts)
    ]
    outputs = found[0]
    if len(found) > 1:
        weights = np.array([part.weight for part in parts], np.float32).reshape(-1, 1, 1)
        outputs = keras.ops.sum(keras.ops.stack(found) * weights, axis=0)
    if calibrator is not None:
        outputs = calibrator.columns(keras.ops, outputs)
    return keras.Model(inputs, outputs, name="hpsearch_model")


def _canonical_outputs(
    part: Part, inputs: Mapping[str, Any], schema: Schema, layout: Layout, name: str
) -> Any:
    """A network's canonical predictions of a graph's inputs; where it has one, under a name."""
    import keras

    statistics = part.statistics
    form = InputForm.on(part.network, layout)
    rows = design_inputs(
        keras.ops,
        layout,
        statistics,
        form.names,
        numbers=inputs.get("numbers"),
        codes=inputs.get("codes"),
        words=inputs.get("words"),
        arrays=tuple(inputs[f"array_{i}"] for i in range(len(layout.arrays))),
        prepared=inputs.get("prepared"),
        tokens=inputs.get("tokens"),
    )
    centre = schema.target.less_offset(statistics.target_centre).astype(np.float32)
    scale = statistics.target_scale.astype(np.float32)
    raw = side_by_side(keras.ops, _uncompiled(part.network, name)(form.given(rows)))
    if raw.dtype != "float32":  # of a network in half or double precision
        raw = keras.ops.cast(raw, "float32")
    power = statistics.target_power.astype(np.float32)
    exposure = inputs.get("exposure")
    return part.form.canonical(keras.ops, schema.target, raw, centre, scale, power, exposure)


def _uncompiled(network: Any, name: str) -> Any:
    """A copy of a network without its optimizer and loss, which no prediction needs.

    ``keras.models.clone_model`` would compile the copy as the network is.

    Parameters
    ----------
    name : of the copy, since no two layers of a graph may share one; empty for the network's own.
    """
    with numpy_draws():  # which needs no compiled program; the weights are replaced
        copy = type(network).from_config(network.get_config())
    copy.set_weights(network.get_weights())
    if name:
        copy.name = name
    return copy


def rows_at_once(layout: Layout) -> int:
    """Rows of one prediction batch.

    Examples
    --------
    >>> words = Layout(words=("x",), n_words=(10_000,), word_slots=(10_000,))
    >>> rows_at_once(Layout(numbers=("x",))), rows_at_once(words)
    (1024, 419)
    """
    return max(1, min(PREDICT_ROWS, PREDICT_CELLS // max(1, layout.n_cells)))


def predict_encoded(
    model: Any,
    encoded: Encoded,
    layout: Layout,
    slot_of_word: NDArray[np.int32],
    *,
    in_few_sizes: bool = False,
) -> NDArray[np.float32]:
    """An exported model's own outputs (n_rows, n_outputs), in batches of ``rows_at_once``.

    Parameters
    ----------
    in_few_sizes : whether a batch is filled up to a power of two with its last row, since Keras
        compiles a program for every new size.
    """

    def predicted(part: Encoded) -> NDArray[np.float32]:
        blocks, size = [], rows_at_once(layout)
        for first in range(0, part.n_rows, size):
            rows = np.arange(first, min(first + size, part.n_rows))
            n_rows = len(rows)
            if in_few_sizes:
                filled = min(size, 2 ** (n_rows - 1).bit_length())
                rows = np.minimum(first + np.arange(filled), rows[-1])
            inputs = model_inputs(part.take(rows), layout, slot_of_word)
            blocks.append(np.asarray(model.predict_on_batch(inputs))[:n_rows])
        return np.concatenate(blocks)

    with keras_settings():
        return by_length(open_in_export(model, layout), encoded, layout, predicted)


def canonical(target: Target, outputs: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Canonical predictions of an exported model's outputs."""
    return target.without_column(target.plus_offset(outputs))


@dataclass(frozen=True, eq=False)
class Bundle:
    """An exported model, opened for prediction.

    Attributes
    ----------
    path : ``model.keras``; content : its bytes, which are read once, so that what was checked is
        what is loaded.
    manifest : ``model.json``; is_sealed : whether it is known to be as the run wrote it.
    code : what of the space's code it needs, or None; it runs when the model is loaded.
    transformer : one of one's own, whose file beside the model may run code only where ``trusts``.
    """

    path: Path
    content: bytes
    manifest: Mapping[str, Any]
    is_sealed: bool = False
    code: Code | None = None
    transformer: Kept | None = None
    trusts: bool = False

    @classmethod
    def of(cls, run: Run, *, is_sealed: bool = False, trusts: bool = False) -> Bundle:
        """The run's exported model.

        Raises
        ------
        ModelFileError
            If ``model.keras``, or the code that it needs, is missing or is not the file that the
            run wrote, or has another format.
        """
        manifest = run.manifest
        if manifest.get("format") != BUNDLE_FORMAT:
            raise ModelFileError(
                f"This version reads models of the format {BUNDLE_FORMAT!r}; model.json of "
                f"{str(run.path)!r} says {manifest.get('format')!r}. Run the search again."
            )
        if not run.model_path.is_file():
            raise ModelFileError(
                f"An exported model is the file model.keras; {str(run.path)!r} has none. "
                "Restore it, or run the search again."
            )
        with opened(run.model_path, ModelFileError) as file:
            content = file.read()
        if hashlib.sha256(content).hexdigest() != manifest.get("sha256"):
            raise ModelFileError(
                f"model.keras must be the file that the run wrote; the SHA-256 of "
                f"{str(run.model_path)!r} differs from the one in model.json. "
                "Restore it, or run the search again."
            )
        said = manifest.get("code")
        code = None if said is None else Code.read(run.path, said)
        own = code, _transformer(run), trusts
        return cls(run.model_path, content, manifest, is_sealed, *own)

    @cached_property
    def schema(self) -> Schema:
        """Columns and label order."""
        with self.reading():
            return Schema.from_json(self.manifest["schema"])

    @cached_property
    def layout(self) -> Layout:
        """Shapes of the inputs."""
        with self.reading():
            limits = self.manifest["limits"]
            layout = Layout.of(
                self.schema, max_levels=limits["max_levels"], max_words=limits["max_words"]
            )
            own = self.transformer
            return layout if own is None else layout.with_prepared(own.shape)

    @cached_property
    def thresholds(self) -> tuple[float, ...]:
        """From which probabilities on labels are predicted; empty where that is 0.5."""
        with self.reading():
            decided = (self.manifest.get("decisions") or {}).get("threshold")
            if decided is None:
                return ()
            values = tuple(map(float, decided["values"]))
            n_outputs = self.schema.target.n_outputs
            if len(values) != n_outputs or not all(map(math.isfinite, values)):
                raise ValueError(f"there are {n_outputs} thresholds, not {decided['values']}")
            return values

    @cached_property
    def conformity(self) -> Conformity:
        """What ranges or sets are predicted with.

        Raises
        ------
        OptionError
            If there are none for such a target, or the run was made before there were any.
        """
        with self.reading():
            check_form(self.schema.target)
            kept = (self.manifest.get("decisions") or {}).get("intervals")
            if kept is None:
                raise OptionError(
                    f"`interval` needs what the search kept of its out-of-fold predictions; "
                    f"model.json of {str(self.path.parent)!r} has none of it, as an older version "
                    "wrote it. Run the search again with this one."
                )
            found = Conformity.from_json(kept)
            target = self.schema.target
            found.check(len(target.names) if check_form(target) == "range" else 1)
            return found

    @cached_property
    def model(self) -> Any:
        """The Keras model, loaded in safe mode."""
        return load_keras_bytes(
            self.content, self.path, None if self.code is None else self.code.source
        )

    def encoded(self, frame: Any, arrays: Mapping[str, Any]) -> Encoded:
        """Raw rows, read under the schema, as plain arrays.

        Parameters
        ----------
        frame, arrays : as in ``Dataset``.

        Raises
        ------
        OptionError
            A transformer of one's own may run code when it is loaded, and is not trusted.
        ModelFileError, TransformerError
            It cannot be loaded here, or gives no rows that a network can take.
        """
        own, schema = self.transformer, self.schema
        if own is None:
            return encode(schema, frame, arrays, len(frame))
        rows = own.prepared(feature_frame(schema, frame), "new rows", trusts=self.trusts)
        beside = encode(beside_prepared(schema), frame, arrays, len(frame))
        return replace(beside, prepared=rows)

    def predict(self, encoded: Encoded) -> NDArray[np.floating[Any]]:
        """Canonical predictions of encoded rows.

        Raises
        ------
        DataError
            If they hold numbers that the network looks up and does not know, or sequences of more
            steps than it takes.
        """
        with self.reading():
            lookups = Lookups.from_json(self.manifest.get("lookups", ()))
        lookups.check_rows(encoded, self.layout)
        with self.reading():
            slots = np.array(self.manifest["word_slots"], np.int32)
            outputs = predict_encoded(self.model, encoded, self.layout, slots, in_few_sizes=True)
            return canonical(self.schema.target, outputs)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What goes wrong with what a manifest says, of which nothing is known, is its damage."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:  # of Keras, NumPy and records that are built out of JSON
            if self.is_sealed:
                raise  # a bug
            raise ModelFileError(
                "model.json says what the model takes and gives; that of "
                f"{str(self.path.parent)!r} does not fit its model.keras, or is damaged "
                f"({_in_short(error)}). Restore both, or run the search again."
            ) from error


def _transformer(run: Run) -> Kept | None:
    said = run.manifest.get("preprocess")
    if said is None:
        return None
    path = run.path / str(said["file"])
    if said["file"] not in TRANSFORMERS or not path.is_file():
        raise ModelFileError(
            f"The model needs its transformer, the file {said['file']}; {str(run.path)!r} has "
            "none. Restore it, or run the search again."
        )
    with opened(path, ModelFileError) as file:
        return Kept.of_manifest(said, file.read())


def _in_short(error: Exception) -> str:
    """An error of a library, as a message can quote it."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return said if len(said) <= 200 else f"{said[:200]}…"


def save_keras_file(model: Any, path: Path, described: str = "") -> None:
    """Write a model so that the same model gives the same bytes, whatever the clock says.

    Keras's own archive holds the time, and can't be written before 1980 or after 2107.

    Parameters
    ----------
    described : what it takes and gives, JSON that goes into the archive as ``DESCRIBED``; Keras
        reads the files that it knows alone.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name) / "model"
        model.save(folder, zipped=False)
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(item for item in folder.rglob("*") if item.is_file()):
                member = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _NO_DATE)
                with archive.open(member, "w", force_zip64=True) as stream:
                    if member.filename == "metadata.json":
                        metadata = json.loads(file.read_text(encoding="utf-8"))
                        said = {**metadata, "date_saved": "1980-01-01@00:00:00"}
                        stream.write(json.dumps(said).encode())
                    else:
                        with file.open("rb") as source:
                            shutil.copyfileobj(source, stream)
            if described:
                archive.writestr(zipfile.ZipInfo(DESCRIBED, _NO_DATE), described)


def load_keras_bytes(content: bytes, path: Path, code: SpaceSource | None = None) -> Any:
    """Load the content of a ``.keras`` file in safe mode.

    Parameters
    ----------
    path : where it came from, for messages.
    code : what registers the objects of one's own that it holds; it is executed.

    Raises
    ------
    ModelFileError
        It is damaged.
    SpaceError
        The code raises.
    """
    check_keras_json()
    import_keras_quietly()
    import keras

    if not zipfile.is_zipfile(io.BytesIO(content)):  # Keras would say that it is not found
        raise ModelFileError(
            f"An exported model is a whole .keras archive; {str(path)!r} is damaged. "
            "Restore it, or run the search again."
        )
    with tempfile.TemporaryDirectory() as folder:  # nobody else may write into it
        file = Path(folder) / "model.keras"
        file.write_bytes(content)
        registered = {} if code is None else objects_of(code)
        try:
            with keras_settings(), zeros_drawn(), known(registered):
                return keras.models.load_model(file, compile=False, safe_mode=True)
        except Exception as error:
            raise ModelFileError(
                f"The exported model {str(path)!r} cannot be loaded ({_in_short(error)}). "
                "Restore it, or run the search again."
            ) from error


def load_keras_file(path: Path, code: SpaceSource | None = None) -> Any:
    """Load a ``.keras`` file in safe mode; a missing or damaged one is a ``ModelFileError``.

    Parameters
    ----------
    code : as ``load_keras_bytes`` takes it.
    """
    if not path.is_file():
        raise ModelFileError(
            f"An exported model is a file; {str(path)!r} is not there. Run the search again."
        )
    return load_keras_bytes(path.read_bytes(), path, code)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seen_ranges(dataset: Dataset) -> dict[str, list[Any]]:
    """The smallest and the largest value of each number and date column, for the manifest.

    Dates are in ISO format; a column without a value has ``[None, None]``.
    """
    ranges: dict[str, list[Any]] = {}
    for column in dataset.schema.of_kind("number", "date"):
        values = dataset.frame[column.name].dropna()
        ends: list[Any] = [values.min(), values.max()] if len(values) else [None, None]
        if column.kind == "date":
            ends = [end and end.isoformat() for end in ends]
        ranges[column.name] = ends
    return ranges
