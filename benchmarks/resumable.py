"""A benchmark's CSV file: read where it goes on, and written after each row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd


def rows_of(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """What the file holds; no rows where there is none."""
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=list(columns))


def with_row(rows: pd.DataFrame, found: Mapping[str, Any], path: Path) -> pd.DataFrame:
    """The rows and one more, which the file holds now."""
    row = pd.DataFrame([found], columns=rows.columns)
    rows = row if rows.empty else pd.concat([rows, row], ignore_index=True)
    rows.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    return rows
