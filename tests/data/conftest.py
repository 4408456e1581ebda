"""Files made for one test."""

from collections.abc import Callable
from pathlib import Path

import pytest

TABLES = Path(__file__).parent / "tables"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write text or bytes to a file and give its path."""

    def write(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(raw)
        return path

    return write


@pytest.fixture
def tables() -> Path:
    """The folder of real tables."""
    return TABLES
