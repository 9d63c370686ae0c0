"""A fit that is saved while it runs, goes on where it was, and is loaded when done."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from skkd._fit.teacher_cv import late_teacher
from skkd._store.lock import FolderLock
from skkd._utils.rng import seeded_rng
from skkd._utils.warn import warn
from skkd.checkpoints._checks import check_can_be_saved
from skkd.checkpoints._files import FitFiles
from skkd.checkpoints._folder import PREFIX, as_folder
from skkd.checkpoints._key import fit_key
from skkd.checkpoints._state import State, set_finished, set_state, state_of
from skkd.checkpoints._values import NotEncodable
from skkd.checkpoints._watch import EpochBegin, EpochEnd, Watch, tell_observers
from skkd.exceptions import DistillationWarning
from skkd.memory._logits import CacheInfo
from skkd.teachers import Finding
from skkd.teachers.health._findings import report


class SavedFit:
    """The checkpoint of one fit, as the estimator sees it.

    `is_loaded` tells whether a finished fit took the place of the training.

    Parameters
    ----------
    net : DistilledClassifier
    plan : FitPlan
    fit_params : mapping
    method : str
        "fit", "partial_fit", or another way in which the student is trained.

    Raises
    ------
    ValueError
        If the fit cannot be saved, or not found again.
    """

    def __init__(
        self, net: Any, plan: Any, fit_params: Mapping[str, Any], method: str
    ) -> None:
        check_can_be_saved(net)
        self._settings = as_folder(net.checkpoint)
        key = fit_key(net, plan, fit_params, method)
        if not plan.fresh:  # it goes on from what the net has learnt
            text = f"{key} {_state_before(net)}"
            key = hashlib.sha256(text.encode()).hexdigest()[:32]
        self._folder = self._settings.root / f"{PREFIX}{key}"
        self._files = FitFiles(self._folder)
        self.every, self._verbose = net.checkpoint_every, net.verbose
        self._fit_params, self.is_loaded = fit_params, False
        self._is_whole = True  # until something ends the training
        self.has_given_up = False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training the same, unless it is trained already."""
        if self.is_finished:
            yield
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(self._folder, "checkpoint")
            held = lock.acquire()
        except OSError as error:
            raise OSError(
                f"checkpoint={str(self._settings.location)!r}: nothing can be written "
                f"there ({error}). Give a folder that you may write to, on a disk with "
                "free space, or pass checkpoint=None."
            ) from error
        try:
            if held:
                self._files.clean()
            yield
        finally:
            lock.release()

    # The finished fit ---------------------------------------------------------

    @property
    def is_finished(self) -> bool:
        """Whether there is a file of the finished student."""
        return self._files.finished.exists()

    def load(self, net: Any, plan: Any) -> bool:
        """Give a net that is built what the finished fit has learnt, if there is one.

        The teacher does not run. Clones of it are fitted when they are asked for.
        """
        found = self._files.read(self._files.finished)
        if found is None:
            return False
        has_lazy = self._build_lazy_layers(net, plan)
        content, tensors = found
        teacher, n_before = late_teacher(plan, net), len(net.history)
        findings = _findings_in(content)
        if net.strict:
            report(findings, strict=True)
        try:
            set_finished(net, _state_in(content, tensors), fresh=plan.fresh)
        except ValueError as error:
            self._files.drop(self._files.finished, str(error))
            if has_lazy:  # they have drawn by now
                net.initialize()
            return False
        net.teacher_, net.cache_info_ = teacher, CacheInfo()
        net.teacher_findings_, net.distillation_ = findings, plan.loss
        net.resumed_, self.is_loaded = len(net.history) - n_before, True
        report(findings, strict=False)
        tell_observers(net, net.history[n_before:])
        self.say(f"loaded, all {net.resumed_} epochs were trained before")
        return True

    def _build_lazy_layers(self, net: Any, plan: Any) -> bool:
        """Let lazy layers see samples; return whether there are any."""
        found = any(map(is_lazy, net.module_.parameters()))
        if found:
            with seeded_rng(net.next_seed_, net.device):
                net._check_student(plan, net._training_set(plan), self._fit_params)
        return found

    def finish(self, net: Any) -> None:
        """Save a student whose training is over."""
        is_interrupted = "interrupted" in [*(net.history[-1] if net.history else ())]
        if self.is_loaded or is_interrupted or not self._is_whole:
            return
        state = self.state_of(net, finished=True)
        if state is not None:
            findings = [[str(f.code), str(f.message)] for f in net.teacher_findings_]
            about = {"findings": findings, "about": _about(net), "saved": _now()}
            self._files.write_finished({**state.content, **about}, state.tensors)
            self._settings.make_room(keep=self._folder)

    # The epochs ---------------------------------------------------------------

    @contextmanager
    def watching(self, net: Any) -> Iterator[None]:
        """Go on where a fit was killed, and save epochs, in this block."""
        watch = Watch(self, net)
        net.callbacks_.insert(0, ("checkpoint_begin", EpochBegin(watch)))
        net.callbacks_.append(("checkpoint_end", EpochEnd(watch)))
        try:
            yield
        finally:
            ended = [getattr(cb, "has_stopped", False) for _, cb in net.callbacks_]
            self._is_whole = not any(ended)
            own = (EpochBegin, EpochEnd)
            net.callbacks_[:] = [p for p in net.callbacks_ if not isinstance(p[1], own)]
            net.resumed_ = watch.n_resumed

    def resume(self, net: Any, targets: str) -> int:
        """Give a net the state of the last epoch that was saved; return how many.

        Parameters
        ----------
        net : DistilledClassifier
            Before its first step.
        targets : str
            Digest of what it learns from.
        """
        for path in self._files.epochs():
            found = self._files.read(path)
            if found is None:
                continue
            content, tensors = found
            reason = _why_another(content, targets)
            if reason:
                warn(
                    f"{path}: this fit was begun {reason}. It begins anew.",
                    DistillationWarning,
                )
                return 0
            try:
                set_state(net, _state_in(content, tensors))
            except ValueError as error:
                self._files.drop(path, str(error))
                continue
            return len(net.history)
        return 0

    def save(self, net: Any, state: State, targets: str) -> None:
        """Save the state after an epoch."""
        about = {"targets": targets, "machine": _machine(), "about": _about(net)}
        content = {**state.content, **about, "saved": _now()}
        self._files.write_epoch(len(net.history), content, state.tensors)

    def state_of(self, net: Any, *, finished: bool = False) -> State | None:
        """Return the state; None, with a warning, if it cannot be saved any more."""
        try:
            return state_of(net, finished=finished)
        except (NotEncodable, ValueError) as error:
            self.give_up(str(error))
            return None

    def give_up(self, reason: str) -> None:
        """Warn, once a fit, that it is not saved any more."""
        if not self.has_given_up:
            warn(
                f"The training goes on, and is not saved any more: {reason}.",
                DistillationWarning,
            )
        self.has_given_up = True

    def say(self, text: str) -> None:
        """Print, if the net prints, what becomes of the fit."""
        if self._verbose:
            print(f"checkpoint: {text}.")


def _state_before(net: Any) -> str:
    try:
        return state_of(net, finished=True).digest
    except (NotEncodable, ValueError) as error:
        raise ValueError(
            f"checkpoint= cannot tell what this net has learnt so far: {error}"
        ) from error


def _findings_in(content: dict[str, Any]) -> list[Finding]:
    held = content.get("findings")
    pairs = held if isinstance(held, list) else []
    return [Finding(*map(str, p)) for p in pairs if isinstance(p, list) and len(p) == 2]


def _state_in(content: dict[str, Any], tensors: dict[str, torch.Tensor]) -> State:
    about = ("targets", "machine", "about", "saved", "format", "findings")
    return State({k: v for k, v in content.items() if k not in about}, tensors)


def _why_another(content: dict[str, Any], targets: str) -> str:
    """Return why the epochs of a file do not go together with others; "" if they do."""
    now, then = _machine(), content.get("machine")
    if then != now:
        return (
            f"on another machine, {then}, and this is {now}, which computes other last "
            "digits. To go on with it, go back there: torch.set_num_threads sets the "
            "threads"
        )
    if content.get("targets") != targets:
        return (
            "with other soft targets: the teacher, or what is fitted of it, gives "
            "others each time"
        )
    return ""


def _machine() -> dict[str, Any]:
    """Return what last digits depend on, besides what the key of a fit holds."""
    machine = {
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
    if torch.cuda.is_available():
        machine["gpu"] = torch.cuda.get_device_name()
    return machine


def _about(net: Any) -> dict[str, Any]:
    return {"student": repr(net)[:300], "epochs": [len(net.history), net.max_epochs]}


def _now() -> float:
    return round(time.time(), 3)
