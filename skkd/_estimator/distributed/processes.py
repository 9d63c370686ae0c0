"""The processes of one fit: how they agree, and what one of them tells the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

# One process may compute for hours what the others wait for, as the logits of a
# teacher. One that fails or ends closes its connections, which ends the waiting.
_PATIENCE = timedelta(days=7)
# Bytes that are sent at a time.
_CHUNK = 2**26

_control: tuple[Any, Any] | None = None  # the group of all processes, and ours beside


class OtherProcessError(RuntimeError):
    """A fit has ended here because of what happened in another process."""


class Processes:
    """All processes of a run, seen from one of them.

    Parameters
    ----------
    accelerator : accelerate.Accelerator
        Of two processes at least.

    Attributes
    ----------
    rank, n_processes : int
        Process 0 is the main one.
    device : torch.device
    is_training : bool
        Whether gradients are exchanged, so that an error cannot be told the others.
    """

    def __init__(self, accelerator: Any) -> None:
        if not dist.is_initialized():
            raise RuntimeError(
                "The processes have parted, after an error in the middle of an epoch: "
                "start them anew."
            )
        self.rank: int = accelerator.process_index
        self.n_processes: int = accelerator.num_processes
        self.device: torch.device = accelerator.device
        self.is_training = False

    @property
    def is_main(self) -> bool:
        """Whether this is the process that asks the teacher, prints and writes."""
        return self.rank == 0

    def meet(self, place: str, content: Any = None) -> list[Any]:
        """Wait for all processes at the same place of a fit.

        Parameters
        ----------
        place : str
        content : object, default=None
            What this process brings; it is pickled.

        Returns
        -------
        list
            What each of them brings.

        Raises
        ------
        OtherProcessError
            In all processes, if one has failed, has ended, or is at another place.
        """
        met = self._exchange(place, content, None)
        places = [place for place, _, _ in met]
        if len({*places}) > 1:
            raise OtherProcessError(
                "The processes have parted: "
                f"{', '.join(f'{r} is at {p}' for r, p in enumerate(places))}. Each "
                "has to run the same fits on the same data, and callbacks have to "
                "decide the same in each."
            )
        return [content for _, content, _ in met]

    def _exchange(self, place: str, content: Any, failure: str | None) -> list[Any]:
        met: list[Any] = [None] * self.n_processes
        try:
            dist.all_gather_object(met, (place, content, failure), _control_group())
        except (RuntimeError, ValueError) as error:
            raise self.parted(error) from error
        failed = [(r, text) for r, (_, _, text) in enumerate(met) if text is not None]
        if failed and failure is None:
            rank, text = failed[0]
            raise OtherProcessError(f"The fit failed in process {rank}: {text}")
        return met

    def broadcast(self, values: np.ndarray | None, like: tuple[Any, Any]) -> np.ndarray:
        """Return the array of the main process in all of them.

        Parameters
        ----------
        values : ndarray or None
            None in the other processes.
        like : tuple
            Its shape and dtype, known to all.
        """
        if values is None:
            values = np.empty(like[0], like[1])
        flat = torch.from_numpy(values.reshape(-1).view(np.uint8))
        for part in flat.split(_CHUNK):
            dist.broadcast(part, 0, group=_control_group())
        return values

    def copy_from_main(self, tensors: list[torch.Tensor]) -> None:
        """Set tensors to those of the main process, bit for bit."""
        with torch.no_grad():
            for tensor in tensors:
                flat = tensor.detach().to(self.device).contiguous().reshape(-1)
                sent = flat.view(torch.uint8)  # of any dtype
                dist.broadcast(sent, 0)
                tensor.copy_(sent.view(tensor.dtype).reshape(tensor.shape))

    def parted(self, error: BaseException) -> OtherProcessError:
        """Leave the others, who waste no time on waiting then; say what happened."""
        self.leave()
        return OtherProcessError(
            "Another process of the fit has failed or has ended, and its own message "
            f"says why. What this one noticed: {error}"
        )

    def leave(self) -> None:
        """Close the connections: whatever the others wait for fails at once."""
        global _control
        _control = None
        if dist.is_initialized():
            dist.destroy_process_group()

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """Run the block in all processes: an error in one is an error in all."""
        try:
            yield
        except OtherProcessError:
            raise
        except BaseException as error:
            if _is_of_network(error):
                raise self.parted(error) from error
            if self.is_training or not isinstance(error, Exception):  # as CTRL-C
                self.leave()
            else:
                self._exchange("", None, f"{type(error).__name__}: {error}")
            raise


def _is_of_network(error: BaseException) -> bool:
    if isinstance(error, dist.DistError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("gloo" in text or "nccl" in text)


def _control_group() -> Any:
    """Return a group for messages between CPUs, which waits as long as it takes."""
    global _control
    everyone = dist.group.WORLD
    if _control is None or _control[0] is not everyone:
        _control = everyone, dist.new_group(backend="gloo", timeout=_PATIENCE)
    return _control[1]
