"""A transformer of one's own: a function ``make()`` in a file, or an object of scikit-learn's kind.

Owns how it is named, read and sent to workers, and how one is made whose random numbers follow from
the run's seed. Its code is found and run as that of a space (``hpsearch.space.source``). Fitting
it belongs to ``fitting``.
"""

from __future__ import annotations

import inspect
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, Final

from hpsearch.errors import TransformerError
from hpsearch.keras_settings import DEFAULT_SETTINGS
from hpsearch.paths import expanded, found_at, shown
from hpsearch.space.guards import blame
from hpsearch.space.local_modules import importable
from hpsearch.space.objects import source_of_object
from hpsearch.space.source import SpaceSource, run, source_of_file
from hpsearch.transformers.described import described

LARGEST_SEED: Final = 2**32
"""What NumPy's generators take as a seed lies below."""

_WRITE: Final = (
    "Give a transformer of scikit-learn's kind, or a .py file with a function make() that returns "
    "one"
)
_blame: Final = partial(blame, of="transformer", error_type=TransformerError)


@dataclass(frozen=True)
class OwnTransformer:
    """A transformer of one's own: its code as it was when loaded.

    Attributes
    ----------
    source : the code, or the object. Of an object the text says its type and its parameters.
    """

    source: SpaceSource = field(repr=False)

    @classmethod
    def load(cls, spec: Any) -> OwnTransformer:
        """A transformer from the path of a ``.py`` file, or an object; one that is loaded stays.

        Raises
        ------
        TransformerError
            There is none, or it can't be sent to workers.
        """
        if isinstance(spec, cls):
            return spec
        return cls(_of_file(spec) if isinstance(spec, str | os.PathLike) else _of_object(spec))

    @property
    def name(self) -> str:
        """The file's, or the object's type."""
        return self.source.name

    @property
    def sha256(self) -> str:
        """Fingerprint of all that the rows follow from, beside the table and the seed, in hex."""
        return self.source.sha256

    @property
    def home(self) -> str:
        """The module that a file's own classes belong to."""
        return f"hpsearch_preprocess_{self.sha256[:16]}"

    def __str__(self) -> str:
        """As a command line names it; ``PREPROCESS.py`` stands for a Python object."""
        return self.source.path or "PREPROCESS.py"

    def made(self, seed: int) -> Any:
        """A transformer that is not fitted, whose every unset ``random_state`` is the seed.

        Raises
        ------
        TransformerError
            Its code raises, or what it gives is no transformer.
        """
        from sklearn.base import clone

        with self.running("creation"):
            made = clone(_checked(self, _defined(self)))
            unset = [
                name
                for name, value in made.get_params(deep=True).items()
                if value is None and name.rpartition("__")[2] == "random_state"
            ]
            made.set_params(**dict.fromkeys(unset, seed % LARGEST_SEED))
        return made

    @contextmanager
    def running(self, step: str) -> Iterator[None]:
        """Let its code run, with its modules; what it raises becomes a ``TransformerError``.

        Parameters
        ----------
        step : what it is doing, for people.
        """
        source = self.source
        with (
            importable(source.modules, keep=source.payload is not None),
            _blame(source.name, step, source.filenames),
        ):
            yield

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Let its own classes be found by their names, as pickles name them."""
        source = self.source
        with importable(source.modules, keep=source.payload is not None):
            if source.payload is None:
                _module_of(self)
            yield


def _of_file(spec: str | os.PathLike[str]) -> SpaceSource:
    path = expanded(os.fspath(spec), TransformerError)
    found = found_at(path, TransformerError)
    if path.suffix != ".py" or found != "a file":
        what = f"{shown(path)} is {'not there' if found is None else 'no .py file'}"
        raise TransformerError(
            f"`preprocess` is a .py file with a function make(); {what}. {_WRITE}."
        )
    try:
        return source_of_file(path)
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise TransformerError(
            f"The transformer's file {shown(path)} cannot be read: {error}. {_WRITE}."
        ) from error


def _of_object(spec: Any) -> SpaceSource:
    kind = type(spec)
    _check_form(spec, "`preprocess`")
    source = source_of_object(spec, kind, of="transformer", error_type=TransformerError)
    of_type = _text_of(kind)
    is_by_name = kind.__module__ != "__main__" and source.text.startswith(of_type)
    code = source.text[len(of_type) :] if is_by_name else source.text
    text = "\n".join(filter(None, [described(spec), code.strip()]))
    return replace(source, text=text, settings=DEFAULT_SETTINGS)


def _text_of(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""


def _check_form(made: Any, given: str) -> None:
    """Raise ``TransformerError`` unless something can be cloned, fitted and applied to new rows."""
    if inspect.isclass(made):
        raise TransformerError(
            f"{given} is a transformer; received the class {made.__name__}. Give {made.__name__}()."
        )
    needed = ("fit", "transform", "get_params", "set_params")
    lacking = [name for name in needed if not callable(getattr(made, name, None))]
    if lacking:
        raise TransformerError(
            f"{given} is a transformer of scikit-learn's kind, which is cloned, fitted on each "
            f"fold and applied to new rows; received {type(made).__name__}, which has no "
            f"{lacking[0]}. {_WRITE}."
        )


def _checked(own: OwnTransformer, made: Any) -> Any:
    _check_form(made, f"What make() of '{own.name}' returns" if own.source.path else "`preprocess`")
    return made


def _defined(own: OwnTransformer) -> Any:
    """What the file's ``make`` returns, or the object."""
    if own.source.payload is not None:
        return pickle.loads(own.source.payload)
    make = _module_of(own).get("make")
    if not callable(make):
        what = "no" if make is None else f"{type(make).__name__} in place of a function"
        raise TransformerError(
            f"The transformer's file {own.name!r} defines {what} make(). {_WRITE}."
        )
    return make()


@lru_cache(maxsize=16)
def _module_of(own: OwnTransformer) -> dict[str, Any]:
    """What a file's module holds; its code runs once a process."""
    return run(own.source, own.home, of="transformer", error_type=TransformerError)
