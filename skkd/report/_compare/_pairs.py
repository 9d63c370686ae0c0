"""Two models on the same rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Two models on the same rows.

    Attributes
    ----------
    first, second : str
        Names of the models.
    difference : float
        Accuracy of the first minus that of the second.
    low, high : float
        Interval of the difference, by a paired bootstrap of rows or groups.
    only_first, only_second : int
        How many rows only that model predicts correctly; with groups, on how many
        groups it is right on more rows. The test is computed from these.
    p_value : float
        P-value of McNemar's exact test, two-sided.
    p_holm : float
        The same, corrected for the number of pairs by Holm's method.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p_value: float
    p_holm: float

    def sentence(self, confidence: float = 0.95) -> str:
        """Put the difference into a sentence.

        It speaks of a difference only where the interval and the corrected p-value
        both show one.

        Parameters
        ----------
        confidence : float, default=0.95
            Confidence level of the interval.

        Returns
        -------
        str
        """
        if not self.difference and not self.only_first + self.only_second:
            return f"{self.first} and {self.second} are right on the same rows."
        points, low, high = (100 * v for v in (self.difference, self.low, self.high))
        better, other = self.first, self.second
        if points < 0:
            better, other, points, low, high = other, better, -points, -high, -low
        interval = f"{100 * confidence:g} % interval {low:+z.1f} to {high:+z.1f}"
        if low > 0 and self.p_holm < 1 - confidence:
            return (
                f"{better} is {points:.1f} points more accurate than {other} "
                f"({interval} points)."
            )
        return (
            f"{better} and {other}: no evidence of a difference in accuracy "
            f"({points:+z.1f} points, {interval}, corrected p {self.p_holm:.2g})."
        )
