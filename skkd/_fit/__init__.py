"""The parts of a fit: plan, soft targets, objective."""
