"""Fingerprints of teachers: hashes of their content, values and code alike."""

from __future__ import annotations

import copyreg
import functools
import os
import pickle
import sys
import types
from typing import Any

import numpy as np
import torch
from joblib.hashing import Hasher
from skorch import NeuralNet

from skkd._utils.modules import content_of, uncompiled
from skkd.memory._code import describe_code, members_of, names_used_by, unwrap
from skkd.teachers._sklearn import CallableTeacher
from skkd.teachers._transform import TransformedTeacher

# Pickle writes these as a name, whatever they do.
_NAMED_ONLY = (types.FunctionType, types.BuiltinFunctionType, functools.partial)
# Set by skorch's NeuralNet and without influence on predictions; also as a prefix of
# parameters, such as `callbacks__*`. skkd's classes declare theirs as `_not_content`.
_NOT_CONTENT_OF_SKORCH = frozenset(
    {
        *("module", "criterion", "optimizer", "callbacks", "train_split"),
        *("iterator_train", "virtual_params_", "_params_to_validate"),
        *("optimizer_", "callbacks_", "history_"),
    }
)
_OF_EVERY_MODULE = frozenset(vars(torch.nn.Module()))
# Packages whose code is identified by their version.
_RELEASED = {
    *("skkd", "torch", "torchvision", "sklearn", "skorch", "joblib"),
    *("numpy", "scipy", "pandas", "PIL"),
}
_STDLIB = os.path.dirname(os.__file__)
_IS_FUNCTION = (
    "is a function, known by its name whatever it does; an object with __call__ is "
    "known by its attributes"
)
_DONE = "already written"  # in place of the name that `reducer_override` may return


class FingerprintError(ValueError):
    """The content of a teacher, or of a row of X, cannot be identified."""


def fingerprint(content: Any) -> str:
    """Return a hash that changes with the content: weights, settings, code of classes.

    Classes and functions that are not of a released package are identified by their
    code, its defaults, the variables that it closes over, and the class's attributes.
    """
    try:
        return _ContentHasher().hash(content)
    except Exception as error:  # whatever a __reduce__ of others may raise
        raise FingerprintError(
            f"memory= cannot tell one teacher or X from another: {error}. Use only "
            "what can be pickled, with classes defined at the top level of a module, "
            "or pass memory=False."
        ) from error


class _ContentHasher(Hasher):
    """A pickler that writes values instead of addresses, and code instead of names."""

    # Not joblib's `save`, by which methods are known by their names alone.
    save = pickle._Pickler.save  # type: ignore[attr-defined]
    dispatch = Hasher.dispatch.copy()
    del dispatch[types.BuiltinFunctionType]  # pickled by its __reduce__

    def __init__(self, described: dict[Any, int] | None = None) -> None:
        super().__init__(hash_name="sha256")
        # Classes and functions by number: they may refer to themselves.
        self._described = {} if described is None else described

    def hash(self, obj: Any) -> str:
        return super().hash(obj)[:32]

    def reducer_override(self, obj: Any) -> Any:
        """Write the content of an object, if it is not to be pickled as usual."""
        cls = type(obj)
        if cls not in self.dispatch:
            for kind, content_of_kind in _CONTENT.items():
                if issubclass(cls, kind):
                    content = content_of_kind(self, obj)
                    if content is NotImplemented:
                        break
                    self.save(content)
                    return _DONE
        return NotImplemented

    def _batch_setitems(self, items: Any, *args: Any) -> None:
        # Not sorted, as joblib's: layers are run, and hooks called, in this order.
        super(Hasher, self)._batch_setitems(items, *args)

    def save_global(self, obj: Any, name: str | None = None, **kwargs: Any) -> None:
        if name == _DONE:
            return
        if isinstance(obj, type):
            self.memoize(obj)
            self.save(self._describe_class(obj))
        elif isinstance(obj, types.FunctionType):
            self._save_function(obj)
        else:
            super().save_global(obj, name)

    dispatch[type] = dispatch[types.FunctionType] = save_global

    def _save_function(self, function: types.FunctionType) -> None:
        super().save_global(function)  # raises if it cannot be found by its name
        self.save(self._describe_function(function))

    def _save_set(self, values: Any) -> None:
        """Write a set, whose order differs between processes, in an order of its own.

        joblib's falls back to Python's hashes, which are equal for -1 and -2.
        """
        kinds = {*map(type, values)}
        if len(kinds) == 1 and kinds <= {int, str, bytes}:
            self.save((type(values).__name__, sorted(values)))
            return
        # One by one: what is written of a value does not depend on the others.
        digests = [type(self)({**self._described}).hash(value) for value in values]
        self.save((type(values).__name__, sorted(digests)))

    dispatch[set] = dispatch[frozenset] = _save_set

    def _describe_class(self, cls: type) -> Any:
        """Return what identifies a class: its name, and its release or its content."""
        if cls in self._described:
            return "class", self._described[cls]
        self._described[cls] = len(self._described)
        own = [base for base in cls.__mro__ if _release_of(_package_of(base)) is None]
        return "class", _name_of(cls), [(_name_of(b), self._members_of(b)) for b in own]

    def _members_of(self, cls: type) -> list[tuple[str, Any]]:
        return [
            (key, [self._describe_member(part) for part in unwrap(member)])
            for key, member in members_of(cls)
        ]

    def _describe_member(self, member: Any) -> Any:
        if isinstance(member, types.FunctionType):
            return self._describe_function(member)
        return _MemberHasher(self._described).hash(member)

    def _describe_function(self, function: types.FunctionType) -> Any:
        if function in self._described:
            return "function", self._described[function]
        self._described[function] = len(self._described)
        code: Any = None
        if _release_of(_package_of(function)) is None:
            # Not the source, which is that of the file as it is by now.
            code = describe_code(function.__code__)
            code = code, function.__defaults__, function.__kwdefaults__
        closed_over = [self._describe_cell(c) for c in function.__closure__ or ()]
        return "function", _name_of(function), code, closed_over

    def _describe_cell(self, cell: types.CellType) -> Any:
        try:
            content = cell.cell_contents
        except ValueError:  # nothing yet
            return None
        # What a decorator wraps has no name to be found by.
        is_function = isinstance(content, types.FunctionType)
        return self._describe_function(content) if is_function else content


class _MemberHasher(_ContentHasher):
    """For attributes of a class, where functions count as its code."""

    def _save_function(self, function: types.FunctionType) -> None:
        self.save(self._describe_function(function))

    def reducer_override(self, obj: Any) -> Any:
        reduced, cls = super().reducer_override(obj), type(obj)
        as_usual = cls in self.dispatch or cls in copyreg.dispatch_table
        if reduced is not NotImplemented or as_usual or issubclass(cls, type):
            return reduced
        try:
            return obj.__reduce_ex__(3)
        except Exception:  # a lock, or what else has no content
            return str, (_name_of(type(obj)),)


class _TransformHasher(_ContentHasher):
    """For a transform, which may hold functions, as torchvision's Lambda does."""

    def _save_function(self, function: types.FunctionType) -> None:
        if _release_of(_package_of(function)) is None:
            raise ValueError(f"{function!r}, inside of the transform, {_IS_FUNCTION}")
        super()._save_function(function)


# Each returns what is written of an object, or NotImplemented to pickle it as usual.


def _of_array(hasher: _ContentHasher, array: np.ndarray) -> Any:
    if type(array) not in (np.ndarray, np.memmap) or array.dtype.hasobject:
        return NotImplemented  # masks, and other attributes of subclasses
    raw = np.ascontiguousarray(array).reshape(-1)
    # Of equal values after pickling, though not of equal strides.
    hasher._hash.update(raw.view(np.uint8) if raw.nbytes else b"")
    return "array", repr(array.dtype), array.shape


def _of_dtype(hasher: _ContentHasher, dtype: np.dtype) -> Any:
    return "dtype", repr(dtype)


def _of_tensor(hasher: _ContentHasher, tensor: torch.Tensor) -> Any:
    plain = type(tensor) in (torch.Tensor, torch.nn.Parameter)
    raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    hasher._hash.update(raw)
    kind = "tensor" if plain else type(tensor)
    return kind, str(tensor.dtype), tuple(tensor.shape)


def _of_module(hasher: _ContentHasher, module: torch.nn.Module) -> Any:
    if _release_of(_package_of(type(module))):  # torch.compile's wrapper, if any
        module = uncompiled(module)
    state = [
        (key, value)
        for key, value in sorted(content_of(module).items())
        # Not the mode: a teacher predicts in eval mode, whatever mode it is in now.
        # Most of the attributes that torch gives to every module are empty.
        if key != "training" and (key not in _OF_EVERY_MODULE or value)
    ]
    return "module", type(module), state


def _of_net(hasher: _ContentHasher, net: NeuralNet) -> Any:
    # skorch's own way to pickle goes through torch.
    ignored = _not_content(type(net))
    state = [
        (key, value)
        for key, value in sorted(vars(net).items())
        if key.partition("__")[0] not in ignored
    ]
    return "net", type(net), state


def _of_method(hasher: _ContentHasher, method: types.MethodType) -> Any:
    function = method.__func__
    if isinstance(function, types.FunctionType):
        function = hasher._describe_function(function)
    return "method", function, method.__self__


def _of_callable_teacher(hasher: _ContentHasher, teacher: CallableTeacher) -> Any:
    if isinstance(teacher.model, _NAMED_ONLY):
        raise ValueError(f"{teacher!r} {_IS_FUNCTION}")
    return NotImplemented


def _of_transformed_teacher(hasher: _ContentHasher, teacher: TransformedTeacher) -> Any:
    if isinstance(teacher.transform, _NAMED_ONLY):
        raise ValueError(f"the transform of {teacher!r} {_IS_FUNCTION}")
    digest = _TransformHasher().hash(teacher.transform)
    return "transformed", teacher.teacher, digest


_CONTENT: dict[type, Any] = {
    np.ndarray: _of_array,
    np.dtype: _of_dtype,
    torch.Tensor: _of_tensor,
    torch.nn.Module: _of_module,
    NeuralNet: _of_net,
    types.MethodType: _of_method,
    CallableTeacher: _of_callable_teacher,
    TransformedTeacher: _of_transformed_teacher,
}


def _not_content(cls: type) -> set[str]:
    """Return the attributes of a skorch net that have no influence on predictions.

    Each class declares its own, as ``_not_content``. A declared attribute is content
    all the same if another class, not of a released package, uses its name.
    """
    used = {
        base: names_used_by(base)
        for base in cls.__mro__
        if _release_of(_package_of(base)) is None
    }
    ignored: set[str] = set()
    for base in cls.__mro__:
        declared = vars(base).get("_not_content", frozenset())
        if base is NeuralNet:
            declared = _NOT_CONTENT_OF_SKORCH
        for name in declared:
            names = {name, name.rstrip("_")}  # skorch shows history_ as history
            if not any(names & used[other] for other in used if other is not base):
                ignored.add(name)
    return ignored


def _name_of(part: Any) -> str:
    return f"{part.__module__}.{part.__qualname__} {_release_of(_package_of(part))}"


def _package_of(part: Any) -> str:
    return (part.__module__ or "").partition(".")[0]


@functools.cache
def _release_of(package: str) -> str | None:
    """Return the version that identifies the code of a package, if one does."""
    module = sys.modules.get(package)
    if package in _RELEASED:
        return getattr(module, "__version__", "unknown")
    file = getattr(module, "__file__", None) or _STDLIB
    # A user's module may have the name of one of Python's, such as `test`.
    installed = file.startswith(_STDLIB) and "site-packages" not in file
    return "python" if package in sys.stdlib_module_names and installed else None
