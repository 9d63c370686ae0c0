"""compare(): several models on the same rows."""
