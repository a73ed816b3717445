"""Training: all folds and seeds of a head in one pass over the frames."""
