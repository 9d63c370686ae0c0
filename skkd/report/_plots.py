"""The plots of a page, as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skkd.report._comparison import Comparison


@dataclass(frozen=True)
class Plot:
    """A picture, and what is said of it.

    Attributes
    ----------
    svg : bytes
    alt : str
        In place of the picture.
    caption : str
        Below it.
    """

    svg: bytes
    alt: str
    caption: str


def plots_of(result: Comparison) -> list[Plot]:
    """Return the plots that apply."""
    return []
