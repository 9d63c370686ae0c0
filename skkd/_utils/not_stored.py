"""What stands in the place of a parameter that a file describes and does not hold."""

from __future__ import annotations


class NotStored:
    """A parameter of which only a description was stored."""

    def __init__(self, description: str) -> None:
        self.description = description

    @property
    def __name__(self) -> str:  # as messages call it
        return self.description

    def __repr__(self) -> str:
        return f"<not stored: {self.description}>"
