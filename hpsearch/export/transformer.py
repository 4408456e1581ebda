"""The fitted transformer beside the exported model: its file, and what the manifest says of it.

Owns the two forms that it is kept in. skops' holds data alone, of types that can do no harm, and
is loaded like the model. What that form cannot hold is pickled by joblib; loading such a file
runs code that stands in it, or beside it in the manifest, so that it is done only for who trusts it
(``--trust``). Either is loaded only if it is the file that the run wrote, by its SHA-256.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.errors import HpsearchError, ModelFileError, OptionError, TransformerError
from hpsearch.results.layout import TRANSFORMERS
from hpsearch.space.guards import text_of
from hpsearch.space.local_modules import LocalModule
from hpsearch.space.source import SpaceSource
from hpsearch.transformers import Fitted, OwnTransformer
from hpsearch.transformers.fitting import features_told, padded, transformed

Form = Literal["skops", "joblib"]

FILES: Final[Mapping[Form, str]] = dict(zip(("skops", "joblib"), TRANSFORMERS, strict=True))

HARMLESS: Final = (
    "numpy.dtype",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.sparse._csr.csr_matrix",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    *(
        f"sklearn.feature_selection._univariate_selection.{name}"
        for name in ("chi2", "f_classif", "f_regression", "r_regression")
    ),
)
"""Types of NumPy, SciPy and scikit-learn that hold data alone, and functions of data, beside those
that skops knows."""

PACKAGES: Final = ("scikit-learn", "numpy", "scipy", "pandas", "skops")
MOST_COMPARED: Final = 200
"""Rows that a transformer which was read back must prepare as it did before."""

_NO_DATE: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Kept:
    """A fitted transformer as a file, and what must be known of it.

    Attributes
    ----------
    content : the file's bytes; form : how it is written.
    name : the transformer's; source : its code as ``SpaceSource.to_json`` says it, without what
        ``form`` doesn't need; code_sha256 : of the transformer before it was fitted.
    shape : of a row as a network takes it; names : of the features.
    versions : of the packages that it was fitted with.
    sample : some raw rows, and what it gave for them once it was fitted.
    """

    content: bytes = field(repr=False)
    form: Form
    name: str
    code_sha256: str
    shape: tuple[int, ...]
    names: tuple[str, ...]
    versions: Mapping[str, str]
    source: Mapping[str, Any] | None = None
    sample: tuple[pd.DataFrame, NDArray[np.float32]] | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Without what was opened, whose classes another process may not have."""
        return {name: value for name, value in vars(self).items() if name not in ("own", "_opened")}

    @property
    def file(self) -> str:
        """The name of its file."""
        return FILES[self.form]

    def to_json(self) -> dict[str, Any]:
        """What the manifest says of it; ``of_manifest`` is the inverse."""
        return {
            "name": self.name,
            "file": self.file,
            "form": self.form,
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "code_sha256": self.code_sha256,
            "shape": list(self.shape),
            "features": features_told(self.names, self.shape),
            "versions": dict(self.versions),
            **({} if self.source is None else {"source": dict(self.source)}),
        }

    @classmethod
    def of_manifest(cls, said: Mapping[str, Any], content: bytes) -> Kept:
        """A file as a manifest tells of it.

        Raises
        ------
        ModelFileError
            It is not the file that the run wrote.
        """
        if hashlib.sha256(content).hexdigest() != said["sha256"]:
            raise ModelFileError(
                f"{said['file']} must be the file that the run wrote; its SHA-256 differs from the "
                "one in model.json. Restore it, or run the search again."
            )
        form: Form = "skops" if said["form"] == "skops" else "joblib"
        return cls(
            content,
            form,
            said["name"],
            said["code_sha256"],
            tuple(map(int, said["shape"])),
            tuple(said["features"]),
            said["versions"],
            None if form == "skops" else said.get("source"),  # it would run, unasked for
        )

    @cached_property
    def own(self) -> OwnTransformer:
        """Its code, where that is needed."""
        said = self.source or {"name": self.name, "path": None, "text": "", "modules": ()}
        modules = tuple(LocalModule.from_json(module) for module in said["modules"])
        payload = None if self.source and not self.source["is_object"] else b""
        return OwnTransformer(
            SpaceSource(said["name"], said["path"], said["text"], payload, modules=modules)
        )

    def prepared(self, frame: pd.DataFrame, where: str, *, trusts: bool) -> NDArray[np.float32]:
        """New rows (n_rows, *shape) as a network takes them.

        Parameters
        ----------
        frame : the columns that a transformer gets; where : what rows they are, for messages.
        trusts : whether a file may be loaded that can run code.

        Raises
        ------
        ModelFileError
            It cannot be loaded here.
        OptionError
            It can run code, and is not trusted.
        TransformerError
            It raises, or gives anything but finite numbers of the shape that it gave before.
        """
        rows = transformed(self.own, self.opened(trusts=trusts), frame, where)
        if len(rows.shape) != 1 + len(self.shape) or rows.shape[-1] > self.shape[-1]:
            raise TransformerError(
                f"The transformer '{self.name}' gives rows of one shape; in {where} it gave "
                f"{rows.shape[1:]}, and {self.shape} when it was fitted. {_REMEDY}"
            )
        return padded(rows, self.shape)

    def opened(self, *, trusts: bool) -> Any:
        """The fitted object; see ``prepared``."""
        if self.form == "joblib" and not trusts:
            raise OptionError(self._untrusted)
        return self._opened

    def check(self) -> None:
        """Raise ``TransformerError`` unless it gives for the sample what it gave before."""
        if self.sample is None:
            return
        frame, expected = self.sample
        found = self.prepared(frame, "all rows", trusts=True)
        if not np.array_equal(found, padded(expected, self.shape)):
            raise TransformerError(
                f"The transformer '{self.name}' must give the same rows once it is saved and "
                "loaded; it gives others. Let it keep what it learnt in its attributes."
            )

    @property
    def _untrusted(self) -> str:
        return (
            f"The transformer {self.name!r} is kept in {self.file}, which runs code when it is "
            "loaded; it is the file that the run wrote. Add --trust, or trust=True in Python, if "
            "you trust whoever made the run."
        )

    @property
    def differs(self) -> str:
        """With which other versions it was fitted, a sentence; empty where it was with these."""
        now = _versions(self.versions)
        other = [
            f"{name} {was} (here {now[name]})"
            for name, was in self.versions.items()
            if now[name] != was and name != "skops"
        ]
        if not other:
            return ""
        return (
            f"The transformer was fitted with {' and '.join(other)}; what it gives may differ. "
            "Predict with the versions that it was fitted with."
        )

    @cached_property
    def _opened(self) -> Any:
        try:
            with warnings.catch_warnings(), self.own.importing():
                warnings.simplefilter("ignore")  # of other versions, which ``differs`` tells
                return _loaded(self.content, self.form)
        except HpsearchError:
            raise
        except Exception as error:
            raise ModelFileError(
                f"{self.file} holds the transformer {self.name!r}, which cannot be loaded here: "
                f"{type(error).__name__}: {text_of(error).rstrip('.')}. Install "
                f"{', '.join(f'{name} {number}' for name, number in self.versions.items())}."
            ) from error


_REMEDY: Final = "Have it give the same features for any rows."


def kept(own: OwnTransformer, fitted: Fitted, frame: pd.DataFrame) -> Kept:
    """The file of a transformer that was fitted on all rows, read back once.

    Parameters
    ----------
    frame : the rows that it was fitted on.

    Raises
    ------
    TransformerError
        It cannot be written, or gives other rows when it is read.
    """
    rows = frame.iloc[:MOST_COMPARED]
    sample = rows, transformed(own, fitted.transformer, rows, "all rows")
    head = own.name, own.sha256, fitted.rows.shape[1:], fitted.names
    if importlib.util.find_spec("skops") is not None:
        with suppress(Exception):  # whatever skops says of types that it does not know
            found = Kept(_as_skops(fitted.transformer), "skops", *head, _versions(PACKAGES))
            found = replace(found, sample=sample)
            found.check()
            return found
    try:
        with own.importing():
            content = _as_joblib(fitted.transformer)
    except Exception as error:
        raise TransformerError(
            f"The transformer '{own.name}' is saved beside the model, and cannot be: "
            f"{text_of(error).rstrip('.')}. Let it hold only what can be pickled."
        ) from error
    source = own.source.to_json()
    if own.source.payload is not None:
        source["text"] = ""  # what its classes need is in the file
    found = Kept(content, "joblib", *head, _versions(PACKAGES[:-1]), source, sample)
    found.check()
    return found


def _versions(packages: Any) -> dict[str, str]:
    found = {}
    for name in packages:
        with suppress(ImportError):
            found[name] = version(name)
    return {name: found.get(name, "none") for name in packages}


def _loaded(content: bytes, form: Form) -> Any:
    if form == "skops":
        from skops import io as skops_io

        return skops_io.loads(content, trusted=list(HARMLESS))
    import joblib

    return joblib.load(io.BytesIO(content))


def _as_joblib(transformer: Any) -> bytes:
    """Joblib's bytes; of objects whose classes no process could import, cloudpickle's."""
    import cloudpickle
    import joblib

    with io.BytesIO() as file:
        try:
            joblib.dump(transformer, file)
            by_name = b"__main__" not in file.getvalue()
        except Exception:
            by_name = False
        return file.getvalue() if by_name else bytes(cloudpickle.dumps(transformer))


def _as_skops(transformer: Any) -> bytes:
    """Skops' bytes, without the addresses of objects and the dates that it writes into them."""
    from skops import io as skops_io

    content = skops_io.dumps(transformer)
    with zipfile.ZipFile(io.BytesIO(content)) as archive, io.BytesIO() as file:
        schema = json.loads(archive.read("schema.json"))
        named = dict(_renamed(schema, {}))
        with zipfile.ZipFile(file, "w") as written:
            for was, name in named.items():
                written.writestr(zipfile.ZipInfo(name, _NO_DATE), archive.read(was))
            written.writestr(zipfile.ZipInfo("schema.json", _NO_DATE), json.dumps(schema, indent=1))
        return file.getvalue()


def _renamed(node: Any, numbers: dict[Any, int]) -> Iterator[tuple[str, str]]:
    """Number a schema's objects in their order, in place; its files' names before and after."""
    if isinstance(node, list):
        for each in node:
            yield from _renamed(each, numbers)
    elif isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        if isinstance(node.get("file"), str):
            was = node["file"]
            number = numbers.setdefault(was, len(numbers) + 1)
            node["file"] = f"{number}{Path(was).suffix}"
            yield was, node["file"]
        for each in node.values():
            yield from _renamed(each, numbers)
