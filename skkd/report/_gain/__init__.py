"""gain(): what a teacher is worth, over seeds and folds."""
