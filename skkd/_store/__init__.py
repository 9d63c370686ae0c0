"""Rows by key, in the memory of a process or in a folder."""
