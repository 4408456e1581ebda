"""Whether a table fits into memory, asked before it is unpacked.

A few kilobytes of a compressed file can hold more than a machine has, and a process that takes all
memory is killed without a word. Estimates only: what is refused here would most likely end so.
"""

from __future__ import annotations

from pathlib import Path

from hpsearch.errors import DataError
from hpsearch.paths import shown

BYTES_PER_BYTE_OF_TEXT = 10
"""Memory that reading text takes, as measured on CSV files of numbers, flags and words: 8 to 18."""


def free_bytes() -> int:
    """Memory that can be taken without swapping."""
    import psutil

    return int(psutil.virtual_memory().available)


def check_fits(needed: int, path: Path) -> None:
    """Raise ``DataError`` where a file takes more memory than is free.

    Parameters
    ----------
    needed : bytes that reading it takes.
    path : the file, for the message.
    """
    free = free_bytes()
    if needed > free:
        raise too_large(needed, free, path)


def too_large(needed: int, free: int, path: Path) -> DataError:
    """The refusal of a file that takes ``needed`` bytes or more where ``free`` ones are free."""
    return DataError(
        f"A table must fit into memory; reading {shown(path)} takes {size_for_people(needed)} or "
        f"more, and {size_for_people(free)} are free. Give a part of its rows or columns, or a "
        "larger machine."
    )


def size_for_people(n_bytes: int) -> str:
    """Bytes for people.

    Examples
    --------
    >>> size_for_people(2_500_000_000), size_for_people(30_000_000)
    ('2.5 GB', '30 MB')
    """
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.0f} MB"
