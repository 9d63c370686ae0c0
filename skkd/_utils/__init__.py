"""Small helpers for torch modules and random streams."""
