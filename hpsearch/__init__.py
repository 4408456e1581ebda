"""Hyperparameter search and iterated K-fold cross-validation for Keras."""
