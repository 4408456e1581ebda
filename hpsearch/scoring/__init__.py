"""Scoring: candidates of one space on fixed folds, trained by an engine in worker processes."""
