"""The parameters of a skorch net, kept as scikit-learn wants them."""

from __future__ import annotations

import copyreg
import inspect
import pickle
from types import MappingProxyType
from typing import Any

from skkd._fit.param_names import CLASSES, check_arguments, did_you_mean
from skkd._utils.modules import resolve_device

# Prefixes of what skorch builds the network anew for.
_BUILT = ("module", "criterion", "compile")


# Attributes of a fit in progress; the second is of scikit-learn's callbacks.
_OF_A_FIT = ("_objective_", "_callback_fit_ctx")


class SklearnParamsMixin:
    """Store parameters as they are, and nothing else in ``__init__``.

    skorch takes whatever lies in ``vars(net)`` for a parameter, and every torch module
    for a part of the network.
    """

    # skorch sets these in __init__, where scikit-learn wants nothing but parameters.
    history_: Any = None
    initialized_: bool = False
    virtual_params_: Any = MappingProxyType({})

    # Attributes that may hold a module which is not a part of the student.
    _unregistered: frozenset[str] = frozenset()
    # Prefixes of parameters that take effect at the next fit. skorch would raise on
    # them once the net is initialised.
    _deferred: tuple[str, ...] = ("iterator_train", "iterator_valid", "dataset")
    # Parameters that are objects with parameters of their own, unknown to skorch.
    _nested: tuple[str, ...] = ()
    _params_to_validate: set[str]
    # The parameters that the constructors of the class and its bases name.
    _named_params: frozenset[str] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        inits = [vars(base).get("__init__", object.__init__) for base in cls.__mro__]
        named = {
            parameter.name
            for init in inits
            for parameter in inspect.signature(init).parameters.values()
            if parameter.kind
            in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }
        cls._named_params = frozenset(named - {"self"})

    def _get_param_names(self) -> list[str]:
        # Unknown keywords stay parameters until skorch complains of them in fit.
        names = self._named_params | self._params_to_validate
        return [k for k in vars(self) if k in names or ("__" in k and k[0] != "_")]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, as scikit-learn does."""
        params = super().get_params(deep=deep)  # type: ignore[misc]
        params["device"] = vars(self)["device"]
        return params

    def set_params(self, **params: Any) -> Any:
        """Set parameters, as scikit-learn does.

        On a net that is built, another ``module__*`` or ``criterion__*`` builds it
        anew at once, as in skorch; another optimizer or callback is made anew too.

        Parameters
        ----------
        **params
            Names as in :meth:`get_params`, and parameters of the parts.

        Returns
        -------
        SkorchClassifier
            The estimator itself.
        """
        for name in params:
            if "__" not in name and not self._has_param(name):
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}."
                    f"{did_you_mean(name, self._named_params)} Valid parameters are: "
                    f"{sorted(self._named_params - {'kwargs'})!r}."
                )
        before = {**vars(self), "_params_to_validate": {*self._params_to_validate}}
        try:
            self._set_params(params)
        except BaseException:  # a part that cannot be built
            object.__setattr__(self, "__dict__", before)
            raise
        return self

    def _set_params(self, params: dict[str, Any]) -> None:
        # skorch takes some of them at once, whatever their name.
        if not {"callbacks", *CLASSES} & params.keys():
            check_arguments(self, [name for name in params if "__" in name])
        if self.initialized_:
            # A value that is there already is no reason to lose a trained student.
            params = {k: v for k, v in params.items() if not self._is_unchanged(k, v)}
        if self.initialized_ and "optimizer" in params:
            self.optimizer = params.pop("optimizer")  # before its own parameters
            self._initialize_optimizer()  # type: ignore[attr-defined]
        later = {
            name: params.pop(name)
            for name in [*params]
            if name in ("callbacks", "optimizer") or name.startswith(self._deferred)
        }
        inner = {
            name: params.pop(name)
            for name in [*params]
            if name.partition("__")[0] in self._nested and "__" in name
        }
        if self.initialized_ and any(name.startswith(_BUILT) for name in params):
            with self._random_stream(fresh=True):  # type: ignore[attr-defined]
                super().set_params(**params)  # type: ignore[misc]
        else:
            super().set_params(**params)  # type: ignore[misc]
        for name, value in params.items():
            # skorch changes the optimizer that is there, and no later one.
            if name.startswith("optimizer__") and "param_groups" not in name:
                setattr(self, name, value)
                self._params_to_validate.add(name)
        for name, value in later.items():
            setattr(self, name, value)
            if name not in self._named_params:
                self._params_to_validate.add(name)
        if self.initialized_ and "callbacks" in later:
            self._initialize_callbacks()  # type: ignore[attr-defined]
        for name, value in inner.items():
            part, _, parameter = name.partition("__")
            if not hasattr(vars(self)[part], "set_params"):
                raise ValueError(
                    f"{name}={value!r}: {part}={vars(self)[part]!r} has no parameters "
                    "to set. Pass an object that has."
                )
            vars(self)[part].set_params(**{parameter: value})

    def _has_param(self, name: str) -> bool:
        prefixes = getattr(self, "prefixes_", ())
        return name in self._get_param_names() or name.startswith(tuple(prefixes))

    def _is_unchanged(self, name: str, value: Any) -> bool:
        """Tell whether what a student is built from has this value already."""
        if not name.startswith((*_BUILT, "optimizer")):
            return False
        held = vars(self).get(name, self)
        plain = isinstance(value, (str, int, float, tuple))
        return held is value or (plain and type(held) is type(value) and held == value)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state as skorch does, tensors as bytes: what skops can write."""
        # A checkpoint, as a copy, is not in the middle of a fit.
        state: Any = super().__getstate__()
        return {k: v for k, v in state.items() if k not in _OF_A_FIT}

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Return what pickle writes."""
        if str(self.device) != "cpu" or vars(self)["torch_load_kwargs"] is not None:
            return super().__reduce_ex__(protocol)
        # skorch pickles what may lie on a GPU inside of the pickle, where joblib cannot
        # take along classes that were defined in a script or a notebook.
        state = {**vars(self), "__cuda_dependent_attributes__": pickle.dumps({})}
        state = {k: v for k, v in state.items() if k not in _OF_A_FIT}
        return copyreg.__newobj__, (type(self),), state  # type: ignore[attr-defined]

    def __setstate__(self, state: dict[str, Any]) -> None:
        requested = state["device"]
        device = resolve_device(requested)
        super().__setstate__({**state, "device": device})  # type: ignore[misc]
        if isinstance(requested, str) and requested == "auto":
            self.device = requested
        # `copy.copy` would share it.
        self._params_to_validate = set(self._params_to_validate)
