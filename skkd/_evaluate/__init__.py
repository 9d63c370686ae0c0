"""Fitted models, measured on the same rows."""
