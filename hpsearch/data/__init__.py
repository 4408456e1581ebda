"""Data: from a file, a table, arrays or a named set to a ``Dataset``."""
