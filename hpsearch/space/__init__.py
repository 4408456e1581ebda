"""Spaces: functions that declare hyperparameters and build networks."""
