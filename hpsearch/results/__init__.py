"""Results: the tables and documents that a run leaves, its journal, and the folder for them."""

from hpsearch.results.run_folder import Run, RunFolder, free_name, open_run

__all__ = ["Run", "RunFolder", "free_name", "open_run"]
