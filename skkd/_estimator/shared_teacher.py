"""A fitted teacher is shared by clones, and its parameters are its own affair."""

from __future__ import annotations

import sys
from typing import Any

from torch.nn import Module

from skkd._estimator.build_student import cannot_copy
from skkd._estimator.workers import send_teacher_once


class SharedTeacherMixin:
    """Keep a teacher that is used as it is out of `clone` and `set_params`.

    `clone` un-fits estimators and copies modules. With ``teacher_cv="prefit"`` clones
    hold the very same teacher instead; otherwise it is a parameter like any other.
    """

    teacher: Any
    teacher_cv: Any
    # Parameters that clones hold as they are, a fitted teacher beside them.
    _shared: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        send_teacher_once(cls)

    @property
    def _is_prefit(self) -> bool:
        return isinstance(self.teacher_cv, str)

    def _reduce_for_worker(self) -> Any:
        """Return what goes to a worker process of a search."""
        return self.__reduce_ex__(4)

    def __sklearn_clone__(self) -> Any:
        try:
            return self._clone()
        except RuntimeError as error:  # of `copy.deepcopy`
            module = getattr(self, "module", None)
            if not isinstance(module, Module):
                raise
            raise cannot_copy(module, error) from error

    def _clone(self) -> Any:
        self._prepare_workers()
        shared = (*self._shared, "teacher") if self._is_prefit else self._shared
        if not shared:
            return super().__sklearn_clone__()  # type: ignore[misc]
        params = {**self.get_params(deep=False), **dict.fromkeys(shared)}
        lone = type(self)(**params)
        for name in ("_metadata_request", "_skl_callbacks"):  # as scikit-learn does
            if name in vars(self):
                lone.__dict__[name] = vars(self)[name]
        twin = super(SharedTeacherMixin, lone).__sklearn_clone__()  # type: ignore[misc]
        for name in shared:
            setattr(twin, name, getattr(self, name))
        return twin

    def _prepare_workers(self) -> None:
        """Bring the teacher to where a search that clones this is about to run."""
        if "ray" in sys.modules:
            from skkd._estimator.on_ray import register

            register(type(self))
        if "distributed" in sys.modules:
            from skkd._estimator.on_dask import bring_teacher

            bring_teacher(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Return what pickle writes: to workers that have the teacher, its key."""
        reduced: Any = super().__reduce_ex__(protocol)
        if "distributed" not in sys.modules:
            return reduced
        from skkd._estimator.on_dask import stand_in

        sent, (function, arguments, state, *rest) = stand_in(self), reduced
        if sent is None:
            return reduced
        state = {k: sent if v is self.teacher else v for k, v in state.items()}
        return function, arguments, state, *rest

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, those of a fitted teacher left out.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of the parts.

        Returns
        -------
        dict of str to object
        """
        params = super().get_params(deep=deep)  # type: ignore[misc]
        if self._is_prefit:
            params = {k: v for k, v in params.items() if not k.startswith("teacher__")}
        return params

    def set_params(self, **params: Any) -> Any:
        """Set parameters; ``teacher__*`` only where clones of the teacher are fitted.

        Parameters
        ----------
        **params
            Names as in :meth:`get_params`, and parameters of the parts.

        Returns
        -------
        DistilledClassifier
            The estimator itself.
        """
        prefix = "teacher__"
        inner = {k: params.pop(k) for k in [*params] if k.startswith(prefix)}
        super().set_params(**params)  # type: ignore[misc]
        if inner and self._is_prefit:
            raise ValueError(
                f"{', '.join(inner)}: with teacher_cv='prefit' the teacher is used as "
                "it is and its parameters cannot be set. With teacher_cv=None, or an "
                "int, clones of it are fitted, and these can."
            )
        if inner and not hasattr(self.teacher, "set_params"):
            raise ValueError(
                f"{', '.join(inner)}: teacher={self.teacher!r} has no parameters to "
                "set. Pass an estimator as teacher."
            )
        if inner:
            self.teacher.set_params(**{k.removeprefix(prefix): inner[k] for k in inner})
        return self
