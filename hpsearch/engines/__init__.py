"""Engines: they train candidates on folds; the contract stands in `base`."""
