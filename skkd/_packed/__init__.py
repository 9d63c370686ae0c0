"""Students trained together, as stacked parameters."""
