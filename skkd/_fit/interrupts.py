"""What ends the training before its last epoch: a callback, or an interrupt."""

from __future__ import annotations

import opcode
from typing import Any

from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning


class StopTraining(KeyboardInterrupt):
    """Raised by a callback of this package that ends the training early."""


def end_early(net: Any, error: KeyboardInterrupt) -> None:
    """Return if the training is to end early and the student to be kept, or raise.

    skorch's early stopping raises what CTRL-C raises, and skorch takes each of both
    for the other: a fit that was interrupted returns as if it had finished.
    """
    if isinstance(error, StopTraining) or _is_raised_by_skorch(error):
        return
    steps = ["train_loss" in b for epoch in net.history for b in epoch["batches"]]
    if net.on_interrupt != "keep" or not any(steps):
        raise error
    net.history.record("interrupted", True)
    warn(
        f"The training was interrupted in epoch {len(net.history)}, and the student is "
        "kept as it is: on_interrupt='keep'.",
        DistillationWarning,
    )


def explain(error: KeyboardInterrupt, *, undone: bool) -> None:
    """Say in the traceback what became of the student."""
    became = "is as it was before the fit" if undone else "keeps what it has learnt"
    error.add_note(
        f"The training was interrupted: the student {became}. To keep a student that "
        "stops early, at CTRL-C or where a callback of your own raises "
        "KeyboardInterrupt, pass on_interrupt='keep'."
    )


def _is_raised_by_skorch(error: KeyboardInterrupt) -> bool:
    """Tell whether a callback of skorch raised the error itself, not CTRL-C in it."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    if at is None:
        return False
    module = at.tb_frame.f_globals.get("__name__", "")
    instruction = at.tb_frame.f_code.co_code[at.tb_lasti]
    is_raised = opcode.opname[instruction] == "RAISE_VARARGS"
    return is_raised and module.startswith("skorch.callbacks")
