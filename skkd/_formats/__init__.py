"""What the files of a student say about it; imports neither torch nor scikit-learn."""
