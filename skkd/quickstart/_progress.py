"""What is being done, said at least every second or so."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, TextIO

from skorch.callbacks import Callback

_EVERY = 1.5  # seconds between two lines of a step


class Progress:
    """Says in lines what is being done, and that it still is.

    A line at the beginning of each step, whenever its detail has changed for a while,
    and one with the time if nothing else is said: a step is never silent for two
    seconds. Use it as a context manager.

    Parameters
    ----------
    stream : text file, default=None
        Where to write; None is the standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.name = self.detail = ""
        self._began = self._said = time.monotonic()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def step(self, name: str, detail: str = "") -> None:
        """Begin a step.

        Parameters
        ----------
        name : str
            What is done, such as "teacher".
        detail : str, default=""
            How far it is, such as "epoch 3 of 20".
        """
        with self._lock:
            self.name, self.detail = name, detail
            self._began = time.monotonic()
            self._say()

    def tell(self, detail: str) -> None:
        """Say how far the step is.

        Parameters
        ----------
        detail : str
            Such as "epoch 3 of 20".
        """
        with self._lock:
            self.detail = detail
            self._say_if_due()

    def _go_on(self) -> None:
        while not self._over.wait(0.1):
            with self._lock:
                self._say_if_due()

    def _say_if_due(self) -> None:
        if self.name and time.monotonic() - self._said > _EVERY:
            self._say()

    def _say(self) -> None:
        self._said = time.monotonic()
        print(self._line(), file=self.stream, flush=True)

    def _line(self) -> str:
        seconds = time.monotonic() - self._began
        parts = [self.name, self.detail, f"{seconds:.0f} s" if seconds >= 1 else ""]
        return ", ".join(filter(None, parts))


class LiveProgress(Progress):
    """The same in a terminal: one line that moves, and one for each finished step."""

    def __enter__(self) -> LiveProgress:
        from rich.console import Console

        self._console = Console(file=self.stream, highlight=False)
        self._status = self._console.status("")
        self._status.start()
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._finish(done=error[0] is None)
        self._status.stop()

    def step(self, name: str, detail: str = "") -> None:
        """Begin a step, and say that the one before is done.

        Parameters
        ----------
        name : str
            What is done, such as "teacher".
        detail : str, default=""
            How far it is, such as "epoch 3 of 20".
        """
        self._finish(done=True)
        super().step(name, detail)

    def _finish(self, done: bool) -> None:
        if self.name and done:
            seconds = time.monotonic() - self._began
            self._console.print(f"{self.name}, {seconds:.1f} s", markup=False)
        self.name = ""

    def _say_if_due(self) -> None:
        self._say()

    def _say(self) -> None:
        if self.name:
            from rich.markup import escape

            self._said = time.monotonic()
            self._status.update(escape(self._line()))


def default_progress() -> Progress:
    """Return the form of progress that suits the standard error.

    Returns
    -------
    Progress
        A :class:`LiveProgress` in a terminal.
    """
    return LiveProgress() if sys.stderr.isatty() else Progress()


class TellEpochs(Callback):
    """Tells a progress the epoch of a training."""

    def __init__(self, progress: Progress, before: str = "") -> None:
        self.progress = progress
        self.before = before

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Say which epoch begins.

        Parameters
        ----------
        net : NeuralNet
        **kwargs
            Ignored.
        """
        epoch = len(net.history)
        self.progress.tell(f"{self.before}epoch {epoch} of {net.max_epochs}")
