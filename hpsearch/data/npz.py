"""NPZ archives as named arrays, read without pickle, whatever they say of themselves.

Owns the members of the archive: their names, sizes and types. What the arrays are used as belongs
to ``tables``.
"""

from __future__ import annotations

import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.memory import check_fits
from hpsearch.errors import DataError
from hpsearch.paths import shown
from hpsearch.words import error_line

_COPIES = 3
_PLAIN = "biufcSUMm"


def read_npz(file: BinaryIO, path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ archive by name.

    Parameters
    ----------
    file : the file, open for reading; ``path`` is for messages.

    Raises
    ------
    DataError
        It is no such archive, is damaged, holds something else than plain arrays, or does not fit
        into memory.
    """
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # struct, zlib, OSError, ...: zipfile raises many kinds
        raise DataError(
            f"{shown(path)} is no NPZ archive ({error_line(error)}). Write it with numpy.savez."
        ) from error
    with archive:
        members = archive.infolist()
        _check_members(members, path)
        check_fits(_COPIES * sum(member.file_size for member in members), path)
        return {m.filename.removesuffix(".npy"): _array(archive, m, path) for m in members}


def _check_members(members: list[zipfile.ZipInfo], path: Path) -> None:
    others = [member.filename for member in members if not member.filename.endswith(".npy")]
    if others:
        raise DataError(
            f"An NPZ archive holds arrays and nothing else; {shown(path)} has a member "
            f"{others[0]!r}. Write it with numpy.savez."
        )
    names = [member.filename for member in members]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise DataError(
            f"Each array of an NPZ archive has its own name; {shown(path)} has "
            f"{twice.removesuffix('.npy')!r} twice. Write it with numpy.savez."
        )


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    name = member.filename.removesuffix(".npy")
    try:
        with archive.open(member) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a header that an old Python wrote
            array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
            if stream.read(1):  # which also has zipfile compare the checksum
                raise ValueError("it has more bytes than its header says")
            _check_text(array)
    except (
        Exception
    ) as error:  # zlib, struct, tokenize, MemoryError, ...: any bytes may stand there
        if "allow_pickle" in str(error):
            raise _objects(name, path) from error
        raise DataError(
            f"{shown(path)} is no readable NPZ archive: the array {name!r} is damaged "
            f"({error_line(error)}). Write it with numpy.savez."
        ) from error
    if array.dtype.names is None and (array.dtype.kind not in _PLAIN or not array.dtype.itemsize):
        raise _objects(name, path)
    return array


def _check_text(array: NDArray[Any]) -> None:
    """Raise ``ValueError`` where letters are none of Unicode's."""
    if array.dtype.kind != "U" or not array.size or not array.dtype.itemsize:
        return
    letters = np.ascontiguousarray(array).view(array.dtype.byteorder + "u4")
    if (letters > sys.maxunicode).any() or ((letters >= 0xD800) & (letters <= 0xDFFF)).any():
        raise ValueError("its text has letters that are none of Unicode's")


def _objects(name: str, path: Path) -> DataError:
    return DataError(
        f"Arrays are read without pickle; {name!r} in {shown(path)} holds Python objects or raw "
        "bytes. Save it with a plain type, for instance array.astype(float) or astype(str); "
        f"sequences of different length as {name}=numpy.concatenate(rows) beside "
        f"{name}_lengths=[len(row) for row in rows]."
    )
