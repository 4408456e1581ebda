"""Data: from a file, a table, arrays or a named set to a ``Dataset``."""

from hpsearch.data.dataset import Column, Dataset, Schema
from hpsearch.data.loading import load
from hpsearch.data.rows import read_rows

__all__ = ["Column", "Dataset", "Schema", "load", "read_rows"]
