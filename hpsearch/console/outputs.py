"""Files that a command was told to write."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.errors import OptionError
from hpsearch.paths import found_at

if TYPE_CHECKING:
    import pandas as pd


def check_output(
    path: Path, *, endings: tuple[str, str], overwrite: bool, option: str = "--output"
) -> None:
    """Refuse a file that can't be written, by the option that names it; before any work.

    Parameters
    ----------
    endings : those that it may have; overwrite : whether a file that is there is replaced.
    """
    if path.suffix.lower() not in endings:
        raise OptionError(
            f"{option} is a file that ends in {' or '.join(endings)}; received {str(path)!r}. "
            "Change the file's ending."
        )
    found = found_at(path, OptionError)
    if found_at(path.parent, OptionError) != "a folder":
        raise OptionError(
            f"{option} is a file in a folder that is there; {str(path.parent)!r} is not. "
            "Make the folder, or choose another file."
        )
    if found is not None and not (overwrite and found == "a file"):
        raise OptionError(
            f"{option} never replaces a file by itself; {str(path)!r} is there already. "
            "Choose another file, or add --overwrite."
        )


def write_output(path: Path, predictions: pd.DataFrame) -> None:
    """Write predictions as CSV or Parquet, as the file's ending says."""
    from hpsearch.results.files import write_atomically
    from hpsearch.results.tables import table_text

    if path.suffix.lower() == ".csv":
        content = table_text(predictions).encode("utf-8")
    else:
        buffer = io.BytesIO()
        predictions.to_parquet(buffer, index=False)
        content = buffer.getvalue()
    try:
        write_atomically(path, content)
    except OSError as error:
        raise OptionError(
            f"--output must be writable; {str(path)!r} is not ({error.strerror}). "
            "Choose another file."
        ) from error
