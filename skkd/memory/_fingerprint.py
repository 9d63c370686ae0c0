"""Fingerprints of teachers: hashes of their content, values and code alike."""

from __future__ import annotations

import copyreg
import functools
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from joblib.hashing import Hasher
from numpy.lib.recfunctions import repack_fields
from skorch import NeuralNet

from skkd._utils.modules import content_of, uncompiled
from skkd.memory._code import describe_code, members_of, unwrap
from skkd.memory._other_libraries import CONTENT_BY_NAME, state_of_module
from skkd.memory._own_pickle import files_named, has_own_pickle, hidden_attributes
from skkd.memory._release import name_of, release_of, release_of_function
from skkd.memory._skorch_nets import state_of_net
from skkd.memory._tensors import content_of_tensor
from skkd.teachers._base import Teacher
from skkd.teachers._sklearn import CallableTeacher
from skkd.teachers._transform import TransformedTeacher

# Pickle writes these as a name, whatever they do.
_NAMED_ONLY = (types.FunctionType, types.BuiltinFunctionType, functools.partial)
# Locks, pools of threads, and the like.
_WITHOUT_CONTENT = frozenset({"_thread", "threading", "concurrent.futures.thread"})
_OF_EVERY_MODULE = frozenset(vars(torch.nn.Module()))
_IS_FUNCTION = (
    "is a function, known by its name whatever it does; an object with __call__ is "
    "known by its attributes"
)
# What counts besides the name of a teacher, if it has one.
_OPTIONS = frozenset(
    {
        *("name", "classes", "output", "extra_classes", "encoded_labels"),
        *("weights", "average", "temperatures"),
    }
)
WRITTEN = "already written"  # in place of the name that `reducer_override` may return


class FingerprintError(ValueError):
    """The content of a teacher, or of a row of X, cannot be identified."""


def fingerprint(content: Any) -> str:
    """Return a hash that changes with the content: weights, settings, code of classes.

    Classes and functions that are not of a released package are identified by their
    code, its defaults, the variables that it closes over, and the class's attributes.
    """
    try:
        return ContentHasher().hash(content)
    except Exception as error:  # whatever a __reduce__ of others may raise
        raise FingerprintError(
            f"memory= cannot tell one teacher or X from another: {first_line(error)}. "
            "Use only what can be pickled, with classes defined at the top level of a "
            "module; or name the teacher, as_teacher(model, name='v1'), another name "
            "for other weights; or pass memory=False."
        ) from error


def fingerprint_of_code(function: types.FunctionType) -> str:
    """Return a hash of the code of a function, whether or not it has a name."""
    return _MemberHasher().hash(function)


class ContentHasher(Hasher):
    """A pickler that writes values instead of addresses, and code instead of names."""

    # Not joblib's `save`, by which methods are known by their names alone.
    save = pickle._Pickler.save  # type: ignore[attr-defined]
    dispatch = Hasher.dispatch.copy()
    del dispatch[types.BuiltinFunctionType]  # pickled by its __reduce__

    def __init__(self, described: dict[Any, int] | None = None) -> None:
        super().__init__(hash_name="sha256")
        # Classes and functions by number: they may refer to themselves.
        self._described = {} if described is None else described
        self._open: list[int] = []  # ids of objects whose content is being written

    def hash(self, obj: Any) -> str:
        """Return the hash of an object's content, 32 hexadecimal digits."""
        return super().hash(obj)[:32]

    def reducer_override(self, obj: Any) -> Any:
        """Write the content of an object, if it is not to be pickled as usual."""
        cls = type(obj)
        if cls in self.dispatch:
            return NotImplemented
        content_of = content_function(cls)
        content = NotImplemented if content_of is None else content_of(self, obj)
        if content is not NotImplemented:
            if id(obj) in self._open:  # a part of it refers to it
                content = "inside of", self._open.index(id(obj))
            self._open.append(id(obj))
            self.save(content)
            self._open.pop()
            return WRITTEN
        if cls.__module__ == "builtins" or issubclass(cls, type):
            return NotImplemented
        if release_of(cls.__module__) or not has_own_pickle(cls):
            return NotImplemented
        reduced = obj.__reduce_ex__(4)
        hidden = hidden_attributes(obj, reduced)
        for key, value in hidden.items():
            self.save((key, self._describe_hidden(obj, key, value)))
        self.save(files_named([reduced[1:3], hidden]))
        return reduced

    def _describe_hidden(self, obj: Any, key: str, value: Any) -> str:
        try:
            return _HiddenHasher({**self._described}).hash(value)
        except Exception as error:
            raise ValueError(
                f"{type(obj).__name__} leaves its {key!r}, a {type(value).__name__}, "
                f"out of its pickle, and {first_line(error)}"
            ) from error

    def _batch_setitems(self, items: Any, *args: Any) -> None:
        # Not sorted, as joblib's: layers are run, and hooks called, in this order.
        super(Hasher, self)._batch_setitems(items, *args)

    def save_global(self, obj: Any, name: str | None = None, **kwargs: Any) -> None:
        if name == WRITTEN:
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
        own = [base for base in cls.__mro__ if release_of(base.__module__) is None]
        return "class", name_of(cls), [(name_of(b), self._members_of(b)) for b in own]

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
        if release_of_function(function) is None:
            # Not the source, which is that of the file as it is by now.
            code = describe_code(function.__code__)
            code = code, function.__defaults__, function.__kwdefaults__
        cells = () if is_of_release(function) else function.__closure__ or ()
        return "function", name_of(function), code, [*map(self._describe_cell, cells)]

    def _describe_cell(self, cell: types.CellType) -> Any:
        try:
            content = cell.cell_contents
        except ValueError:  # nothing yet
            return None
        # What a decorator wraps has no name to be found by.
        is_function = isinstance(content, types.FunctionType)
        return self._describe_function(content) if is_function else content


class _MemberHasher(ContentHasher):
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
            return str, (name_of(type(obj)),)


class _HiddenHasher(ContentHasher):
    """For attributes that are left out of pickles: what can be in the way of one."""

    def _save_function(self, function: types.FunctionType) -> None:
        self.save(self._describe_function(function))

    def reducer_override(self, obj: Any) -> Any:
        if type(obj).__module__ in _WITHOUT_CONTENT:
            return str, (name_of(type(obj)),)
        return super().reducer_override(obj)


class _TransformHasher(ContentHasher):
    """For a transform, which may hold functions, as torchvision's Lambda does."""

    def _save_function(self, function: types.FunctionType) -> None:
        if release_of_function(function) is None:
            raise ValueError(f"{function!r}, inside of the transform, {_IS_FUNCTION}")
        super()._save_function(function)


# Each returns what is written of an object, or NotImplemented to pickle it as usual.


def _of_array(hasher: ContentHasher, array: np.ndarray) -> Any:
    if type(array) not in (np.ndarray, np.memmap) or array.dtype.hasobject:
        return NotImplemented  # masks, and other attributes of subclasses
    packed = array
    if array.dtype.names:  # as of trees; a copy may have other bytes between fields
        packed = repack_fields(array, recurse=True)
    raw = np.ascontiguousarray(packed).reshape(-1)
    # Of equal values after pickling, though not of equal strides.
    hasher._hash.update(raw.view(np.uint8) if raw.nbytes else b"")
    return "array", repr(array.dtype), array.shape


def _of_dtype(hasher: ContentHasher, dtype: np.dtype) -> Any:
    return "dtype", repr(dtype)


def _of_tensor(hasher: ContentHasher, tensor: torch.Tensor) -> Any:
    return content_of_tensor(tensor, hasher._hash.update)


def _of_module(hasher: ContentHasher, module: torch.nn.Module) -> Any:
    if release_of(type(module).__module__):  # torch.compile's wrapper, if any
        module = uncompiled(module)
    state = [
        (key, value)
        for key, value in sorted(state_of_module(module, content_of(module)).items())
        # Not the mode: a teacher predicts in eval mode, whatever mode it is in now.
        # Most of the attributes that torch gives to every module are empty.
        if key != "training" and (key not in _OF_EVERY_MODULE or value)
    ]
    return "module", type(module), state


def _of_net(hasher: ContentHasher, net: NeuralNet) -> Any:
    # skorch's own way to pickle goes through torch.
    return "net", type(net), state_of_net(net)


def _of_method(hasher: ContentHasher, method: types.MethodType) -> Any:
    function = method.__func__
    if isinstance(function, types.FunctionType):
        function = hasher._describe_function(function)
    return "method", function, method.__self__


def _of_teacher(hasher: ContentHasher, teacher: Teacher) -> Any:
    if teacher.name is not None:  # the user's word for all of the rest
        known = teacher.classes_
        options = {k: v for k, v in vars(teacher).items() if k in _OPTIONS}
        labels = None if known is None else [*known.tolist()]
        return "named", type(teacher), teacher.described, labels, options
    if isinstance(teacher, CallableTeacher) and isinstance(teacher.model, _NAMED_ONLY):
        raise ValueError(f"{teacher!r} {_IS_FUNCTION}")
    if not isinstance(teacher, TransformedTeacher):
        # Without what it notes of its checks.
        state = {k: v for k, v in vars(teacher).items() if not k.startswith("_")}
        return "teacher", type(teacher), state
    if isinstance(teacher.transform, _NAMED_ONLY):
        raise ValueError(f"the transform of {teacher!r} {_IS_FUNCTION}")
    digest = _TransformHasher().hash(teacher.transform)
    return "transformed", teacher.teacher, digest


_CONTENT: dict[type, Callable[[ContentHasher, Any], Any]] = {
    np.ndarray: _of_array,
    np.dtype: _of_dtype,
    torch.Tensor: _of_tensor,
    torch.nn.Module: _of_module,
    NeuralNet: _of_net,
    types.MethodType: _of_method,
    Teacher: _of_teacher,
}


def content_function(cls: type) -> Callable[[ContentHasher, Any], Any] | None:
    """Return what tells the content of objects of `cls`, if not their pickle."""
    for base in cls.__mro__:
        if base in _CONTENT:
            return _CONTENT[base]
        of_library = CONTENT_BY_NAME.get(f"{base.__module__}.{base.__qualname__}")
        if of_library is not None:
            return lambda hasher, obj: of_library(obj)
    return None


def is_of_release(function: types.FunctionType) -> bool:
    """Tell whether a function is found in a released package by its name.

    Then its release identifies what a decorator there put around it, too.
    """
    if release_of(function.__module__) is None:
        return False
    found: Any = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is function


def first_line(error: Exception) -> str:
    """Return the first line of a message, without its full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].removesuffix(".")
