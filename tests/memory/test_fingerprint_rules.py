"""What counts as content of a teacher: nothing of a user's is dropped by its name."""

import functools
import gc
import importlib
import sys
import threading
import types
import weakref

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skkd import DistilledClassifier
from skkd.memory._fingerprint import FingerprintError

# By way of the quick hash, which has to see whatever changes a fingerprint.
from skkd.memory._known import known_fingerprint as fingerprint
from skkd.memory._release import release_of
from skkd.teachers import as_teacher

X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
y = np.arange(30) % 3


def changes(teacher, name, value):
    """Tell whether the fingerprint changes with an attribute."""
    before = fingerprint(as_teacher(teacher))
    setattr(teacher, name, value)
    return fingerprint(as_teacher(teacher)) != before


# --- Attributes of skorch nets --------------------------------------------------------


class Scaled(NeuralNetClassifier):
    """A net of a user's, with parameters that have names of skkd's."""

    def __init__(self, *args, augment=None, memory=None, teacher=None, **kwargs):
        self.augment, self.memory, self.teacher = augment, memory, teacher
        super().__init__(*args, **kwargs)


class Steered(NeuralNetClassifier):
    """Uses in its predictions what has no influence on those of skorch."""

    def infer(self, x, **fit_params):
        scale = (self.callbacks or 1) + len(self.history)
        return super().infer(x, **fit_params) * scale * self.criterion.scale


class WithMixin:
    def scale(self):
        return self.temperature


class Student(DistilledClassifier):
    """Adds nothing that concerns predictions."""

    def __init__(self, module=None, *, extra=None, **kwargs):
        super().__init__(module, **kwargs)
        self.extra = extra


class AveragedStudent(DistilledClassifier):
    def infer(self, x, **fit_params):
        return super().infer(self.augment(x), **fit_params)


class MixedStudent(DistilledClassifier, WithMixin):
    """A mixin behind the class whose parameter it uses."""


def linear_net(cls, **params):
    params = {"module__in_features": 4, "module__out_features": 3, **params}
    net = cls(nn.Linear, criterion=nn.CrossEntropyLoss, verbose=0, **params)
    return net.initialize()


OF_SKKD = (
    *("teacher", "teacher_transform", "distillation", "augment", "memory"),
    *("teacher_", "live_teacher_", "cache_info_", "distillation_", "needs_"),
    *("features_", "scheduled_", "teacher_findings_", "strict", "channels_last_"),
    *("next_seed_", "labels_are_codes_", "temperature", "alpha", "_not_content"),
)


@pytest.mark.parametrize("name", OF_SKKD)
def test_attributes_of_a_users_net_are_content_whatever_their_names(name):
    for cls in (NeuralNetClassifier, Scaled):
        assert changes(linear_net(cls), name, 5.0)


@pytest.mark.parametrize(
    ("name", "value"), [("callbacks", 3.0), ("history_", [1, 2]), ("criterion", 0)]
)
def test_attributes_of_skorch_are_content_for_a_subclass_that_uses_them(name, value):
    assert changes(linear_net(Steered), name, value)
    assert not changes(linear_net(NeuralNetClassifier), name, value)
    assert not changes(linear_net(Scaled), name, value)


TRAINED_WITH = {
    "optimizer": torch.optim.Adagrad,
    "callbacks": lambda: None,
    "iterator_train__collate_fn": lambda rows: rows,
    "train_split": lambda X, y: None,
    "optimizer_": torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=1.0),
}


@pytest.mark.parametrize("name", TRAINED_WITH)
def test_what_a_net_was_trained_with_is_no_content(name):
    assert not changes(linear_net(NeuralNetClassifier), name, TRAINED_WITH[name])


def trained(cls):
    return cls(nn.Linear(4, 3), max_epochs=1, random_state=0).fit(X, y)


@pytest.mark.parametrize("cls", [DistilledClassifier, Student])
@pytest.mark.parametrize("name", ["teacher", "augment", "temperature", "memory"])
def test_what_a_student_declares_is_no_content(cls, name):
    assert not changes(trained(cls), name, lambda rows: rows)


@pytest.mark.parametrize(
    "name", ["_skl_callbacks", "_skl_callbacks_to_teardown", "_callback_fit_ctx"]
)
def test_callbacks_of_scikit_learn_are_no_content(name):
    student = trained(DistilledClassifier)
    assert not changes(student, name, [threading.Lock()])  # which cannot be pickled


def test_what_a_student_declares_is_content_if_a_subclass_uses_it():
    student = AveragedStudent(nn.Linear(4, 3)).initialize()
    assert changes(student, "augment", np.negative)
    assert not changes(student, "temperature", 7.0)
    assert changes(trained(MixedStudent), "temperature", 7.0)
    assert not changes(trained(MixedStudent), "alpha", 0.1)


def test_a_users_class_declares_its_own_attributes():
    class Noted(NeuralNetClassifier):
        _not_content = frozenset({"notes_"})

        def infer(self, x, **fit_params):
            self.notes_ = len(x)
            return super().infer(x, **fit_params)

    class Reading(Noted):
        def infer(self, x, **fit_params):
            return super().infer(x, **fit_params) * self.notes_

    assert not changes(linear_net(Noted), "notes_", 3)
    assert changes(linear_net(Noted), "others_", 3)
    assert changes(linear_net(Reading), "notes_", 3)


def test_the_mode_of_a_module_is_no_content():
    """A teacher predicts in eval mode, whatever its forward makes of the mode."""

    class Moody(nn.Module):
        def forward(self, x):
            return x if self.training else -x

    module = Moody()
    before = fingerprint(module.train())
    assert fingerprint(module.eval()) == before


class Wrapper(nn.Module):
    def __init__(self, inner, scale):
        super().__init__()
        self._orig_mod, self.scale = inner, scale


def test_only_torch_wraps_compiled_modules():
    inner = nn.Linear(4, 3)
    one, other = Wrapper(inner, 1.0), Wrapper(inner, 2.0)
    assert len({fingerprint(m) for m in (inner, one, other)}) == 3


# --- Code of classes ------------------------------------------------------------------


class Sign:
    pass


def define(body, **names):
    """Return a class that is made anew of `body`, lines of source."""
    source = "class Net:\n" + "".join(f"    {line}\n" for line in body)
    space = {"__name__": "notebook", "functools": functools, **names}
    exec(source, space)
    return space["Net"]


CODE = {
    "functions-in-a-mapping": "acts = {{'relu': lambda x: {0} * x}}",
    "functions-in-a-list": "acts = [lambda x: {0} * x]",
    "beside-a-lock": "parts = [lock, {0}]",
    "partialmethod": "def f(self, k): pass\n    g = functools.partialmethod(f, {0})",
    "partialmethod-called": (
        "def f(self, k): return k\n    __call__ = functools.partialmethod(f, {0})"
    ),
    "static-partial": "f = staticmethod(functools.partial(pow, {0}))",
    "cached": "@functools.lru_cache\n    def f(self): return {0}",
    "cached-property": "@functools.cached_property\n    def f(self): return {0}",
    "setter": (
        "@property\n    def f(self): return 1\n"
        "    @f.setter\n    def f(self, value): self.x = {0}"
    ),
    "call": "def __call__(self, x): return {0} * x",
}


@pytest.mark.parametrize("kind", CODE)
def test_members_of_a_class_are_content(kind):
    def of(number):
        body = CODE[kind].format(number).split("\n    ")
        return fingerprint(define(body, lock=threading.Lock())())

    assert of(1) == of(1)
    assert of(1) != of(2)


def test_a_class_beside_a_lock_is_described_all_the_same():
    def of(sign):
        Inner = define([f"def __call__(self, x): return {sign}x"])
        Outer = define(["parts = [Inner, lock]"], Inner=Inner, lock=threading.Lock())
        return fingerprint([Outer(), Inner()])

    assert of("+") == of("+")
    assert of("+") != of("-")


def plus(self, x):
    return +x


def minus(self, x):
    return -x


def test_a_method_that_is_bound_to_an_object_is_known_by_its_code():
    def of(function):
        function.__name__ = "predict_proba"
        model = Sign()
        other = Sign()
        model.predict_proba = types.MethodType(function, other)
        return fingerprint(model)

    assert of(plus) == of(plus)
    assert of(plus) != of(minus)


@pytest.mark.parametrize("name", ["test", "code", "statistics"])
def test_a_users_module_may_have_the_name_of_one_of_python(name, tmp_path, monkeypatch):
    made = []
    for sign in "+-":
        module = types.ModuleType(name)
        module.__file__ = str(tmp_path / f"{name}.py")
        exec(f"class Net:\n    def __call__(self, x): return {sign}x", vars(module))
        monkeypatch.setitem(sys.modules, name, module)
        release_of.cache_clear()
        made.append(fingerprint(module.Net()))
    release_of.cache_clear()
    assert made[0] != made[1]


def test_a_file_that_is_edited_after_its_import(tmp_path, monkeypatch):
    """The code that runs counts, not that of the file."""
    file = tmp_path / "edited_model.py"
    source = "class Net:\n    def __call__(self, x):\n        return {}x\n"
    file.write_text(source.format("+"))
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("edited_model")
    before = fingerprint(module.Net())
    file.write_text(source.format("-"))
    assert fingerprint(module.Net()) == before
    sys.modules.pop("edited_model")
    importlib.invalidate_caches()
    for compiled in tmp_path.glob("__pycache__/*"):
        compiled.unlink()
    assert fingerprint(importlib.import_module("edited_model").Net()) != before


def test_a_debugger_or_a_coverage_tool_changes_nothing():
    net = define(["def __call__(self, x): return [i for i in x]"])()
    before = fingerprint(net)
    old = sys.gettrace()
    sys.settrace(lambda *args: None)
    try:
        net([1])
        traced = fingerprint(net)
    finally:
        sys.settrace(old)
    assert traced == before


# --- Values ---------------------------------------------------------------------------


class Marked(torch.Tensor):
    pass


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.ma.array([1, 2], mask=[0, 0]), np.ma.array([1, 2], mask=[0, 1])),
        ({-1, "a"}, {-2, "a"}),
        ({1, 2}, frozenset({1, 2})),
        ({1}, {1.0}),
        ([1, 2], (1, 2)),
        (np.zeros(2), np.zeros(2, dtype=">f8")),
        (np.zeros(2, "i4,f4"), np.zeros(2, "i4,i4")),
        (np.zeros((0, 3)), np.zeros((0, 2))),
        (np.array(1.0), np.array([1.0])),
        (np.array([None, 1]), np.array([None, 2])),
        (torch.ones(2), torch.ones(2).as_subclass(Marked)),
        (np.dtype("f4"), np.dtype("f8")),
    ],
)
def test_values_that_differ(one, other):
    assert fingerprint(one) != fingerprint(other)


def test_values_that_cannot_be_hashed_are_named():
    with pytest.raises(FingerprintError, match=r"memory= cannot tell.*memory=False"):
        fingerprint({1: threading.Lock()})


@pytest.mark.parametrize("make", [lambda: nn.Linear(2, 2), Sign])
def test_a_fingerprint_keeps_nothing_alive(make):
    model = make()
    model.values = np.ones(3)
    gc.disable()  # a cycle would live until it runs
    try:
        fingerprint(as_teacher(model) if isinstance(model, nn.Module) else [model])
        gone = weakref.ref(model)
        del model
        assert gone() is None
    finally:
        gc.enable()


def test_classes_of_a_script_have_no_release_in_workers_either(monkeypatch):
    # A worker of joblib runs a script of joblib, and the user's classes are of it.
    main = sys.modules["__main__"]  # which has no file in workers of pytest-xdist
    monkeypatch.setattr(main, "__file__", functools.__file__, raising=False)
    release_of.cache_clear()
    assert release_of("__main__") is None
