"""Arrow tables as raw columns: Parquet files, and frames of other libraries such as polars.

Owns the way from Arrow's types to those that ``cells`` reads: no integer is rounded, no date is cut
off, and bytes that are no text are refused. Whatever speaks Arrow's C stream comes in here
(``__arrow_c_stream__``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa

from hpsearch.data.memory import check_fits
from hpsearch.data.names import checked_names
from hpsearch.errors import DataError
from hpsearch.paths import shown
from hpsearch.words import error_line

_BYTES_PER_CELL = 16
_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}


def is_arrow(source: Any) -> bool:
    """Whether something gives its cells as Arrow does: a polars frame, an Arrow table or array.

    Examples
    --------
    >>> is_arrow(pa.table({"a": [1]})), is_arrow([1])
    (True, False)
    """
    return hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__")


def frame_of(source: Any) -> pd.DataFrame:
    """A frame or table that speaks Arrow as a DataFrame.

    Raises
    ------
    DataError
        It is no table, or it is damaged.

    Examples
    --------
    >>> frame_of(pa.table({"a": [1, None]}))["a"].dtype
    Int64Dtype()
    """
    try:
        table = source if isinstance(source, pa.Table) else pa.table(source)
        return _plain_frame(table)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            "A table has columns of equal length; the "
            f"{type(source).__name__} received has none that can be read "
            f"({error_line(error)}). "
            "Give a DataFrame."
        ) from error


def series_of(source: Any) -> pd.Series[Any]:
    """A column that speaks Arrow, such as a polars Series, as a pandas one.

    Examples
    --------
    >>> series_of(pa.array(["u", None])).tolist()
    ['u', nan]
    """
    name = getattr(source, "name", None)
    column = pa.chunked_array(source) if not isinstance(source, pa.Array) else source
    return frame_of(pa.table({"y": column}))["y"].rename(name or None)


def read_parquet(file: BinaryIO, path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The columns of a Parquet file, and what there is to say about them.

    Parameters
    ----------
    file : the file, open for reading; ``path`` is for messages.

    Raises
    ------
    DataError
        It is damaged, has columns without a name or of one name, or does not fit into memory.
    """
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
        metadata = parquet.metadata
        table_schema = parquet.schema_arrow
        sizes = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
    except Exception as error:
        raise _damaged(path, error) from error
    checked_names(table_schema.names)
    check_fits(max(sum(sizes), metadata.num_rows * len(table_schema) * _BYTES_PER_CELL), path)
    try:
        frame = _plain_frame(parquet.read())
    except Exception as error:  # whatever Arrow and pandas raise on damaged pages
        raise _damaged(path, error) from error
    return _without_index(frame, table_schema)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{shown(path)} is no readable Parquet file ({error_line(error)}). "
        "Write it again, for instance with DataFrame.to_parquet."
    )


def _plain_frame(table: pa.Table) -> pd.DataFrame:
    """Columns in pandas' types: integers with missing cells stay integers, text is checked."""
    table.validate(full=True)
    columns = [_plain_column(column) for column in table.columns]
    plain = pa.table(columns, names=[str(i) for i in range(len(columns))])
    frame: pd.DataFrame = plain.to_pandas(
        types_mapper=_NULLABLE.get, ignore_metadata=True, date_as_object=False
    )
    if not columns:
        frame = pd.DataFrame(index=range(table.num_rows))
    return frame.set_axis(table.column_names, axis=1)


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string_view(column.type):
        return column.cast(pa.large_string())
    if pa.types.is_float16(column.type):
        return column.cast(pa.float32())
    return column


def _without_index(frame: pd.DataFrame, schema: pa.Schema) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The frame without the index that pandas wrote as columns beside the others."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    names = [name for name in index if isinstance(name, str) and name in frame]
    notes = tuple(index_note(name) for name in names if not name.startswith("__index_level_"))
    return frame.drop(columns=names), notes


def index_note(name: Any) -> str:
    """What is said where the index of a DataFrame has a name, as a column would."""
    return (
        f"The index {name!r} of the DataFrame is no column and was left out; "
        "reset_index() makes it one."
    )
