"""One fit over several processes."""
