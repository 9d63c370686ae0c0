"""What tells one teacher, and one row, from another: hashes of their content."""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

import numpy as np
import torch
from joblib.hashing import Hasher, NumpyHasher
from skorch import NeuralNet

from skkd._utils.modules import uncompiled
from skkd.teachers._sklearn import CallableTeacher
from skkd.teachers._transform import TransformedTeacher

# What pickle writes as a name, whatever it does.
_NAMED_ONLY = (types.FunctionType, types.BuiltinFunctionType, functools.partial)
# What made a skorch net, and has no say in its outputs any more; also as a prefix of
# parameters, such as `callbacks__*`.
_PAST = {
    *("module", "criterion", "optimizer", "callbacks", "train_split"),
    *("iterator_train", "virtual_params_", "_params_to_validate"),
    *("optimizer_", "callbacks_", "history_"),
    *("teacher", "teacher_transform", "distillation", "augment", "memory"),
    *("teacher_", "live_teacher_", "cache_info_", "distillation_"),
    *("needs_", "features_", "scheduled_", "teacher_findings_", "strict"),
    *("channels_last_", "next_seed_", "labels_are_codes_"),
}
_OF_EVERY_MODULE = frozenset(vars(torch.nn.Module()))
# Packages whose code goes by their version.
_RELEASED = {
    *("torch", "torchvision", "sklearn", "skorch", "joblib"),
    *("numpy", "scipy", "pandas", "PIL"),
}
# Members of a class that say how it is laid out, not what it does.
_LAYOUT = (types.GetSetDescriptorType, types.MemberDescriptorType)


_IS_FUNCTION = (
    "is a function, known by its name whatever it does; an object with __call__ is "
    "known by its attributes"
)


class FingerprintError(ValueError):
    """The content of a teacher, or of a row, cannot be told."""


def fingerprint(content: Any) -> str:
    """Return a hash that changes with the content: weights, settings, code of classes.

    Parameters
    ----------
    content : object
        Anything that can be pickled. Classes and functions that are not of a released
        package are known by their code, its defaults, what it closes over, and by the
        attributes of the class.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    FingerprintError
        If a function teaches, whose code does not tell what it does, or pickling fails.
    """
    try:
        return _ContentHasher().hash(content)
    except Exception as error:  # whatever a __reduce__ of others may raise
        raise FingerprintError(
            f"memory= cannot tell one teacher or X from another: {error}. Give it what "
            "can be pickled, its classes defined at the top level of a module, or "
            "pass memory=False."
        ) from error


class _ContentHasher(NumpyHasher):
    """joblib's, which would tell tensors apart by their place in memory."""

    def __init__(self, described: dict[Any, int] | None = None) -> None:
        # Workers of joblib are given large arrays as maps of files.
        super().__init__(hash_name="md5", coerce_mmap=True)
        # Classes and functions by number: they refer to themselves.
        self._described = {} if described is None else described

    def save(self, obj: Any) -> None:
        if isinstance(_called(obj), _NAMED_ONLY):
            of = "the transform of " * isinstance(obj, TransformedTeacher)
            raise ValueError(f"{of}{obj!r} {_IS_FUNCTION}")
        if isinstance(obj, TransformedTeacher):
            obj = ("transformed", obj.teacher, _TransformHasher().hash(obj.transform))
        if isinstance(obj, np.ndarray) and not obj.dtype.hasobject:
            # Of the same values after pickling, though not of the same strides.
            if obj.size == 0:
                obj = np.empty(obj.shape, obj.dtype)
            elif not obj.flags.c_contiguous:
                obj = np.ascontiguousarray(obj)
        if isinstance(obj, type):
            obj = self._describe_class(obj)
        elif isinstance(obj, types.FunctionType):
            super().save(obj)  # refuses what has no name to be found by
            obj = self._describe_function(obj)
        elif isinstance(obj, torch.Tensor):
            raw = obj.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
            obj = ("tensor", str(obj.dtype), tuple(obj.shape), raw)
        elif isinstance(obj, torch.nn.Module):
            obj = uncompiled(obj)
            state = {
                key: value
                for key, value in vars(obj).items()
                # The mode is not the module's: a teacher is asked in evaluation mode.
                # Of what torch keeps in each module most is empty.
                if key != "training" and (key not in _OF_EVERY_MODULE or value)
            }
            obj = ("module", type(obj), sorted(state.items()))
        elif isinstance(obj, NeuralNet):  # its own way to pickle is one of torch
            state = {
                key: value
                for key, value in vars(obj).items()
                if key.partition("__")[0] not in _PAST
            }
            obj = ("net", type(obj), sorted(state.items()))
        elif type(obj) is frozenset:  # in an order of its own in each process
            obj = ("frozenset", set(obj))
        super().save(obj)

    def _batch_setitems(self, items: Any, *args: Any) -> None:
        # Not sorted, as joblib's: layers are run, and hooks called, in this order.
        super(Hasher, self)._batch_setitems(items, *args)

    def _describe_class(self, cls: type) -> Any:
        """Return what identifies a class: its name, and its release or its content."""
        if cls in self._described:
            return "class", self._described[cls]
        self._described[cls] = len(self._described)
        return "class", [
            (_name_of(base), None if _release_of(base) else self._members_of(base))
            for base in cls.__mro__
        ]

    def _members_of(self, cls: type) -> list[tuple[str, Any]]:
        members: list[tuple[str, Any]] = []
        for key, member in sorted(vars(cls).items()):
            functions = _functions_of(member)
            if functions:
                members.append((key, [*map(self._describe_function, functions)]))
            elif not (
                (key.startswith("__") and key.endswith("__"))
                or key == "_abc_impl"
                or isinstance(member, _LAYOUT)
            ):
                members.append((key, self._describe_attribute(member)))
        return members

    def _describe_attribute(self, value: Any) -> str:
        try:
            return _ContentHasher(self._described).hash(value)
        except Exception:  # a lock, or what else is no setting
            return _name_of(type(value))

    def _describe_function(self, function: types.FunctionType) -> Any:
        if function in self._described:
            return "function", self._described[function]
        self._described[function] = len(self._described)
        released = _release_of(function)
        code = None if released else _describe_code(function.__code__)
        defaults = (
            None if released else (function.__defaults__, function.__kwdefaults__)
        )
        closed_over = [self._describe_cell(c) for c in function.__closure__ or ()]
        return "function", _name_of(function), code, defaults, closed_over

    def _describe_cell(self, cell: types.CellType) -> Any:
        try:
            content = cell.cell_contents
        except ValueError:  # nothing yet
            return None
        # What a decorator wraps has no name to be found by.
        is_function = isinstance(content, types.FunctionType)
        return self._describe_function(content) if is_function else content


class _TransformHasher(_ContentHasher):
    """Of a transform, which may hold functions, as Lambda of torchvision does."""

    def save(self, obj: Any) -> None:
        if isinstance(obj, types.FunctionType) and not _release_of(obj):
            raise ValueError(f"{obj!r}, inside of the transform, {_IS_FUNCTION}")
        super().save(obj)


def _called(teacher: Any) -> Any:
    """Return what a teacher calls that may be any function, None where nothing is."""
    if isinstance(teacher, TransformedTeacher):
        return teacher.transform
    return teacher.model if isinstance(teacher, CallableTeacher) else None


def _name_of(part: Any) -> str:
    return f"{part.__module__}.{part.__qualname__} {_release_of(part) or ''}"


def _release_of(part: Any) -> str | None:
    """Return the version that tells the code of a class or function, if one does."""
    root = (part.__module__ or "").partition(".")[0]
    if root in _RELEASED:
        return getattr(sys.modules.get(root), "__version__", "unknown")
    return "python" if root in sys.stdlib_module_names else None


def _functions_of(member: Any) -> list[types.FunctionType]:
    # Of properties, static and class methods, cached properties and lru_cache.
    names = ("fget", "fset", "__func__", "func", "__wrapped__")
    parts = [member]
    if not isinstance(member, types.FunctionType):
        parts = [getattr(member, name, None) for name in names]
    return [part for part in parts if isinstance(part, types.FunctionType)]


def _describe_code(code: types.CodeType) -> tuple[Any, ...]:
    # Not `marshal`, whose bytes depend on who else refers to a constant.
    consts = [
        _describe_code(const)
        if isinstance(const, types.CodeType)
        else repr(sorted(const, key=repr) if isinstance(const, frozenset) else const)
        for const in code.co_consts
    ]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    handlers = getattr(code, "co_exceptiontable", b"")
    return (
        *(code.co_name, code.co_code, code.co_flags, handlers),
        *(names, counts, tuple(consts)),
    )
