"""Diagnoses of the training: what the tables of a finished run say about it, and what to try."""

from hpsearch.diagnoses.base import Chart, Diagnosis, Severity

__all__ = ["Chart", "Diagnosis", "Severity"]
