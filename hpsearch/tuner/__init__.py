"""keras-tuner's face: its scripts, scored by iterated K-fold."""
