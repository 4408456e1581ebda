"""Results: the tables and documents that a run leaves, its journal, and the folder for them."""

from hpsearch.results.folder import RunFolder
from hpsearch.results.layout import free_name
from hpsearch.results.run import Run, open_run

__all__ = ["Run", "RunFolder", "free_name", "open_run"]
