"""Why a student is trained by itself."""


class CannotBePacked(Exception):
    """Says in one line why a student is trained by itself."""
