"""Rows, labels, weights and batches of a fit."""
