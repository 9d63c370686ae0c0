"""What a stack prints while it trains, as a net with ``verbose=1`` does."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

from skorch.callbacks import PrintLog
from skorch.history import History

from skkd._packed.member import Member


class Progress:
    """skorch's table of epochs, one for all students of a stack.

    Parameters
    ----------
    members : sequence of Member
        If no net of them has ``verbose``, nothing is printed.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        verbose = max(member.net.verbose for member in members)
        # What PrintLog looks at.
        self._net = SimpleNamespace(history=History(), verbose=verbose)
        self._table = PrintLog().initialize()
        if verbose:
            print(f"{len(members)} students, trained as one; train_loss is their mean:")

    def show(self, losses: Sequence[float], seconds: float) -> None:
        """Print a line for an epoch: its losses, and its time in all."""
        history = self._net.history
        history.new_epoch()
        history.record("epoch", len(history))
        history.record("train_loss", sum(losses) / len(losses))
        history.record("dur", seconds)
        self._table.on_epoch_end(self._net)
