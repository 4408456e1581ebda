"""Export: the selected network trained on all rows, its file, and predictions from it."""
