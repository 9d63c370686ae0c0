"""Fingerprints of teachers and keys of rows: other content, another hash; and back."""

import copy
import itertools
import os
import pickle
import sys
import threading
import types
from collections import OrderedDict
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from skorch import NeuralNetClassifier
from skorch.helper import SliceDataset
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from skkd.images import ImageReader
from skkd.memory._fingerprint import FingerprintError, fingerprint
from skkd.memory._row_keys import row_keys, view_seeds
from skkd.teachers import as_teacher

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4))


# --- Fingerprints -------------------------------------------------------------------


def same(one, other):
    return fingerprint(one) == fingerprint(other)


def defined(source, name="Net"):
    """Return what a cell of a notebook defines, in a module that can be looked up."""
    module = types.ModuleType("notebook")
    module.__dict__.update(nn=nn, torch=torch, np=np, threading=threading)
    sys.modules["notebook"] = module
    exec(source, vars(module))
    return getattr(module, name)


@pytest.fixture(autouse=True)
def no_notebook():
    yield
    sys.modules.pop("notebook", None)


def a_class(body):
    return "class Net(nn.Module):\n" + "".join(f"    {line}\n" for line in body)


FORWARD = ["def forward(self, x):", "    return x"]
REDEFINED = {
    "code": (FORWARD, [FORWARD[0], "    return -x"]),
    "constant": ([FORWARD[0], "    return 2 * x"], [FORWARD[0], "    return 3 * x"]),
    "name": ([FORWARD[0], "    return x.sin()"], [FORWARD[0], "    return x.cos()"]),
    "inner": (
        [FORWARD[0], "    return (lambda z: z)(x)"],
        [FORWARD[0], "    return (lambda z: -z)(x)"],
    ),
    "no-grad": (
        ["@torch.no_grad()", *FORWARD],
        ["@torch.no_grad()", FORWARD[0], "    return -x"],
    ),
    "inference-mode": (
        ["@torch.inference_mode()", *FORWARD],
        ["@torch.inference_mode()", FORWARD[0], "    return -x"],
    ),
    "default": (
        ["def forward(self, x, a=1):", "    return a * x"],
        ["def forward(self, x, a=2):", "    return a * x"],
    ),
    "keyword": (
        ["def forward(self, x, *, a=1):", "    return a * x"],
        ["def forward(self, x, *, a=2):", "    return a * x"],
    ),
    "names-of-inputs": (
        ["def forward(self, a, b):", "    return a - b"],
        ["def forward(self, b, a):", "    return b - a"],
    ),
    "class-attribute": (["scale = 1", *FORWARD], ["scale = 2", *FORWARD]),
    "class-array": (
        ["w = np.array([1, 2])", *FORWARD],
        ["w = np.array([1, 3])", *FORWARD],
    ),
    "staticmethod": (
        ["@staticmethod", "def f(x): return x", *FORWARD],
        ["@staticmethod", "def f(x): return -x", *FORWARD],
    ),
    "property": (
        ["@property", "def f(self): return 1", *FORWARD],
        ["@property", "def f(self): return 2", *FORWARD],
    ),
    "try": (
        [FORWARD[0], "    try: x.a", "    except TypeError: pass", "    return x"],
        [FORWARD[0], "    try: x.a", "    except ValueError: pass", "    return x"],
    ),
    "lock-beside": (
        ["lock = threading.Lock()", *FORWARD],
        ["lock = threading.Lock()", FORWARD[0], "    return -x"],
    ),
}


@pytest.mark.parametrize("kind", REDEFINED)
def test_a_class_that_is_defined_anew(kind):
    before, after = map(a_class, REDEFINED[kind])
    first, again, other = (
        fingerprint(as_teacher(defined(source)())) for source in (before, before, after)
    )
    assert first == again
    assert first != other


def test_a_class_made_by_a_function():
    source = (
        "def make(k):\n"
        "    class Net(nn.Module):\n"
        "        def forward(self, x):\n"
        "            return k * x\n"
        "    return Net"
    )
    make = defined(source, "make")
    assert same(make(1)(), make(1)())
    assert not same(make(1)(), make(2)())


def test_a_method_that_is_replaced():
    Net = defined(a_class(FORWARD))
    before = fingerprint(Net())
    Net.forward = lambda self, x: -x
    assert fingerprint(Net()) != before
    Net.forward = nn.Identity.forward
    assert fingerprint(Net()) != before


def test_the_code_of_a_base_class():
    source = a_class(FORWARD) + "class Sub(Net):\n    pass"
    one, other = (
        defined(source.replace("return x", f"return {x}"), "Sub")() for x in ("x", "-x")
    )
    assert not same(one, other)


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


def test_a_parametrized_module_keeps_the_code_of_its_class():
    made = []
    for sign in ("x", "-x", "x"):
        body = [
            "def __init__(self):",
            "    super().__init__()",
            "    self.weight = nn.Parameter(torch.ones(3, 3))",
            "def forward(self, x):",
            f"    return {sign}",
        ]
        made.append(defined(a_class(body))())
        nn.utils.parametrize.register_parametrization(made[-1], "weight", Doubled())
    one, other, again = map(fingerprint, made)
    assert one == again
    assert one != other


def test_layers_in_another_order():
    linear, relu = nn.Linear(4, 4), nn.ReLU()
    one = nn.Sequential(OrderedDict(a=linear, b=relu))
    other = nn.Sequential(OrderedDict(b=relu, a=linear))
    assert not same(one, other)
    assert not same(
        nn.ModuleDict({"a": linear, "b": relu}), nn.ModuleDict(other._modules)
    )


class Holder(nn.Module):
    """A module with state of every kind."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("kept", torch.zeros(2))
        self.register_buffer("passing", torch.zeros(2), persistent=False)
        self.plain, self.scale, self.names = torch.zeros(2), 1.0, {"a": [1]}

    def forward(self, x):
        return self.linear(x)


def negate(module, args, output):
    return -output


CHANGES = {
    "weight": lambda m: m.linear.weight.data.mul_(1.5),
    "one-bit": lambda m: m.linear.bias.data.view(torch.int32)[0].bitwise_xor_(1),
    "buffer": lambda m: m.kept.add_(1),
    "passing-buffer": lambda m: m.passing.add_(1),
    "plain-tensor": lambda m: m.plain.add_(1),
    "attribute": lambda m: setattr(m, "scale", 2.0),
    "inside-attribute": lambda m: m.names["a"].append(2),
    "dtype": lambda m: m.double(),
    "hook": lambda m: m.register_forward_hook(negate),
    "inner-hook": lambda m: m.linear.register_forward_hook(negate),
    "part": lambda m: setattr(m, "linear", nn.Linear(4, 3, bias=False)),
    "negative-zero": lambda m: m.kept.neg_(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_module_that_changes(change):
    module = Holder()
    before = fingerprint(module)
    assert same(module, copy.deepcopy(module))
    assert same(module, pickle.loads(pickle.dumps(module)))
    assert same(module, module.eval())
    assert same(module, module.requires_grad_(False))
    CHANGES[change](module)
    assert fingerprint(module) != before


def test_hooks_are_known_by_their_code():
    made = []
    for sign in ("", "-", ""):
        module = Holder()
        torch.manual_seed(0)
        module.linear.reset_parameters()
        hook = defined(f"def hook(module, args, output): return {sign}output", "hook")
        module._forward_hooks[0] = hook
        made.append(fingerprint(module))
    assert made[0] == made[2] != made[1]


def test_a_compiled_module_is_the_module():
    compiled, module = nn.Module(), Holder()
    compiled._orig_mod = module  # as torch.compile does
    assert same(compiled, module)


def double(X):
    return 2 * X


def test_functions_in_a_pipeline_are_known_by_their_code():
    made = []
    for factor in (2, 3, 2):
        function = defined(f"def prepare(X): return {factor} * X", "prepare")
        teacher = make_pipeline(FunctionTransformer(function), GaussianNB())
        made.append(fingerprint(as_teacher(teacher.fit(X, [0, 1] * 6))))
    assert made[0] == made[2] != made[1]


class Scaled:
    def __init__(self, scale, more=()):
        self.scale, self.more = scale, more

    def __call__(self, X):
        return self.scale * X[:, :3]

    def outputs(self, X):
        return self(X)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Scaled(1.0), Scaled(2.0)),
        (Scaled(1), Scaled(1.0)),
        (Scaled(0.0), Scaled(-0.0)),
        (Scaled([1, 2]), Scaled([2, 1])),
        (Scaled({"a": 1, "b": 2}), Scaled({"b": 2, "a": 1})),  # they may be run in turn
        (Scaled({"a": 1, 2: "b"}), Scaled({"a": 1, 2: "c"})),
        (Scaled(np.zeros(3)), Scaled(np.zeros((3, 1)))),
        (Scaled(np.zeros(3)), Scaled(np.zeros(3, "f4"))),
        (Scaled("1"), Scaled(1)),
        (Scaled(Scaled), Scaled(double)),
        (Scaled(1).outputs, Scaled(2).outputs),
        (Scaled(1).outputs, Scaled(1).__call__),
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        (torch.zeros(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.float16)),
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5])),
        (torch.tensor(1), torch.tensor(True)),
        (torch.tensor([]), torch.tensor([], dtype=torch.int64)),
    ],
)
def test_content_that_differs(one, other):
    assert fingerprint(one) == fingerprint(copy.deepcopy(one))
    assert fingerprint(one) == fingerprint(pickle.loads(pickle.dumps(one)))
    assert fingerprint([one, one]) != fingerprint([one, other])
    assert fingerprint(one) != fingerprint(other)


def test_tensors_are_known_by_value():
    one = torch.arange(6.0).reshape(2, 3)
    assert same([one, one], [one.clone(), one.clone()])
    assert same(one, one.T.contiguous().T)
    assert same(one[:, ::2], one[:, ::2].clone())


def test_options_of_a_teacher():
    module = nn.Linear(4, 3)
    made = [
        as_teacher(module),
        as_teacher(module, classes=[0, 1, 2]),
        as_teacher(module, classes=[2, 1, 0]),
        as_teacher(module, output="proba"),
        as_teacher(module, extra_classes="drop"),
        as_teacher([module, module]),
        as_teacher([module, module], weights=[1, 2]),
        as_teacher([module, module], average="logits"),
        as_teacher(nn.Linear(4, 3)),
        as_teacher(GaussianNB().fit(X, [0, 1] * 6)),
        as_teacher(GaussianNB().fit(X, [1, 0] * 6)),
        as_teacher(GaussianNB().fit(X, ["0", "1"] * 6)),
    ]
    assert len({fingerprint(teacher) for teacher in made}) == len(made)


def test_a_skorch_net():
    net = NeuralNetClassifier(nn.Linear(4, 3), criterion=nn.CrossEntropyLoss, verbose=0)
    net.initialize()
    before = fingerprint(as_teacher(net))
    net.history.new_epoch()
    assert fingerprint(as_teacher(pickle.loads(pickle.dumps(net)))) == before
    net.module_.bias.data[0] += 1
    assert fingerprint(as_teacher(net)) != before
    net.module_.bias.data[0] -= 1
    net.criterion_ = nn.NLLLoss()
    assert fingerprint(as_teacher(net)) != before


def test_arrays_that_joblib_maps_into_its_workers(tmp_path):
    forest = RandomForestClassifier(3, random_state=0).fit(X, [0, 1] * 6)
    forest.more_ = np.arange(1000.0)
    joblib.dump(forest, tmp_path / "forest")
    mapped = joblib.load(tmp_path / "forest", mmap_mode="r")
    assert isinstance(mapped.more_, np.memmap)
    assert same(mapped, forest)


@pytest.mark.parametrize(
    "content",
    [
        lambda: as_teacher(double),
        lambda: as_teacher(lambda X: X),
        lambda: as_teacher(partial(double)),
        lambda: as_teacher([double, nn.Linear(4, 3)]),
        lambda: Scaled(lambda X: X),
        lambda: Scaled(threading.Lock()),
        lambda: Scaled(i for i in range(3)),
        lambda: {"A": (i for i in range(3)), "weights": 1},
    ],
)
def test_what_cannot_be_known(content):
    with pytest.raises(FingerprintError, match="memory= cannot tell one teacher"):
        fingerprint(content())


class Cyclic:
    def __init__(self):
        self.me = self

    instance = None


Cyclic.instance = Cyclic()


def test_what_refers_to_itself():
    assert same(Cyclic(), Cyclic())
    loop = nn.Linear(2, 2)
    loop.__dict__["parent"] = loop
    with pytest.raises(FingerprintError):
        fingerprint(loop)


# --- Keys of rows -------------------------------------------------------------------


class Pairs(Dataset):
    """Rows that are made when they are read."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i], 0


WORDS = np.array(["red", "green", "blue"] * 4)
FRAME = pd.DataFrame(
    {
        "number": X[:, 0],
        "word": WORDS,
        "kind": pd.Categorical(WORDS),
        "whole": pd.array(range(12), dtype="Int64"),
        "when": pd.date_range("2020", periods=12),
        "flag": X[:, 1] > 0,
    }
)
FORMS = {
    "float64": X,
    "float32": X.astype("f"),
    "big-endian": X.astype(">f8"),
    "fortran": np.asfortranarray(X),
    "complex": X + 1j,
    "images": RNG.integers(0, 255, (12, 3, 4, 4), dtype=np.uint8),
    "bool": X > 0,
    "one-column": X[:, 0],
    "texts": WORDS,
    "bytes": WORDS.astype("S"),
    "objects": np.array([[i, f"{i}"] for i in range(12)], dtype=object),
    "dates": FRAME["when"].to_numpy(),
    "records": np.array([(i, i / 2) for i in range(12)], dtype="i4,f8"),
    "masked": np.ma.array(X, mask=X > 0.5),
    "frame": FRAME,
    "numbers-frame": pd.DataFrame(X, columns=[*"abcd"]),
    "series": FRAME["word"],
    "tensor": torch.tensor(X),
    "bfloat16": torch.tensor(X).bfloat16(),
    "one-tensor": torch.arange(12),
    "csr": sp.csr_matrix(X * (X > 0)),
    "csr-array": sp.csr_array(X * (X > 0)),
    "csc": sp.csc_matrix(X * (X > 0)),
    "mapping": {"a": X[:, :2], "b": torch.tensor(X[:, 2:]), "c": WORDS},
}
LISTS = {
    "lists": X.tolist(),
    "arrays": [*X],
    "tensors": [*torch.tensor(X)],
    "strings": WORDS.tolist(),
    "paths": [Path(f"nowhere/{i}") for i in range(12)],
    "ragged": [list(range(i)) for i in range(12)],
    "mixed": [[i, f"{i}", None] for i in range(12)],
    "images-of-pil": [Image.new("L", (2, 2), i) for i in range(12)],
}
LAZY = {
    "tensors": TensorDataset(torch.tensor(X), torch.zeros(12)),
    "arrays": Pairs(X),
    "numbers": Pairs([*range(12)]),
    "texts": Pairs(WORDS.tolist()),
    "pairs-of-inputs": Pairs([(torch.tensor(x), i) for i, x in enumerate(X)]),
    "dicts": Pairs([{"a": x, "b": torch.tensor(x[:2])} for x in X]),
    "nested": Pairs([(x, (x[0], [f"{i}"])) for i, x in enumerate(X)]),
    "pil": Pairs(LISTS["images-of-pil"]),
}
INDEX = np.array([7, 2, 2, 11, 0])


def sliced(form, rows):
    if isinstance(form, dict):
        return {key: value[rows] for key, value in form.items()}
    return form.iloc[rows] if hasattr(form, "iloc") else form[rows]


@pytest.mark.parametrize("form", FORMS)
def test_keys_of_a_slice_are_the_slice_of_the_keys(form):
    keys, kind = row_keys(FORMS[form])
    assert keys.shape == (12, 2) and keys.dtype == np.uint64
    part, kind_of_part = row_keys(sliced(FORMS[form], INDEX))
    assert kind_of_part == kind
    assert_array_equal(part, keys[INDEX])
    n_rows = 12 if form not in ("bool", "texts", "series", "bytes") else 3
    assert form == "bool" or len(np.unique(keys, axis=0)) == n_rows
    again, _ = row_keys(copy.deepcopy(FORMS[form]))
    assert_array_equal(again, keys)


@pytest.mark.parametrize("form", LISTS)
def test_keys_of_lists(form):
    rows = LISTS[form]
    keys, kind = row_keys(rows)
    part, kind_of_part = row_keys([rows[i] for i in INDEX])
    assert kind_of_part == kind
    assert_array_equal(part, keys[INDEX])
    assert len(np.unique(keys, axis=0)) == (3 if form == "strings" else 12)


@pytest.mark.parametrize("wrap", [lambda d: d, SliceDataset])
@pytest.mark.parametrize("form", LAZY)
def test_keys_of_lazy_rows(form, wrap, monkeypatch):
    dataset = wrap(LAZY[form])
    keys, kind = row_keys(dataset)
    assert keys.shape == (12, 2)
    part, kind_of_part = row_keys(torch.utils.data.Subset(LAZY[form], INDEX.tolist()))
    assert kind_of_part == kind
    assert_array_equal(part, keys[INDEX])
    assert len(np.unique(keys, axis=0)) == (3 if form == "texts" else 12)
    monkeypatch.setattr("skkd.memory._row_keys._BATCH_SIZE", 5)
    assert_array_equal(row_keys(dataset)[0], keys)


def test_lazy_images_are_not_read(tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(3)]
    for i, path in enumerate(paths):
        Image.new("RGB", (4, 4), (i, 0, 0)).save(path)
    images = ImageReader(4, lazy=True).fit_transform(paths)
    keys, _ = row_keys(images)
    for path in paths:
        times = os.stat(path)
        Path(path).write_bytes(bytes(times.st_size))
    # Opened again, others; those that were found before are not looked at.
    assert_array_equal(row_keys(images)[0], keys)


def assert_all_differ(forms):
    """Assert that no row of one form is taken for a row of another."""
    names = [
        (kind, *key) for keys, kind in map(row_keys, forms) for key in keys.tolist()
    ]
    assert len(set(names)) == len(names)


def test_every_form_has_keys_of_its_own():
    unlike = {k: v for k, v in FORMS.items() if k not in ("fortran", "series", "texts")}
    unlike = {k: v for k, v in unlike.items() if k not in ("bool", "bytes")}
    for one, other in itertools.combinations(unlike, 2):
        if {one, other} in ({"csr", "csc"}, {"csr", "csr-array"}, {"csc", "csr-array"}):
            continue
        (keys, kind), (others, other_kind) = (
            row_keys(unlike[one]),
            row_keys(unlike[other]),
        )
        both = {*map(tuple, keys.tolist())} & {*map(tuple, others.tolist())}
        assert kind != other_kind or not both, (one, other)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4", "u1", "c16"])
def test_every_bit_of_a_row_counts(dtype):
    row = np.ones((1, 3), dtype=dtype)
    seen = {row_keys(row)[0].tobytes()}
    raw = row.view(np.uint8).reshape(-1)
    for place, bit in itertools.product(range(len(raw)), range(8)):
        raw[place] ^= 1 << bit
        seen.add(row_keys(row)[0].tobytes())
        raw[place] ^= 1 << bit
    assert len(seen) == 1 + 8 * len(raw)


def test_dtypes_and_zeros_are_told_apart():
    zero = np.zeros((1, 4))
    assert_all_differ(
        [
            *(zero, -zero, zero.astype("f"), zero.astype("i8"), zero.astype("M8[s]")),
            *(zero.astype("u1"), zero.astype(bool), zero.astype("i1")),
            *(zero.reshape(1, 2, 2), zero[:, :2], zero.astype(">f8")),
            *(
                torch.zeros(1, 4),
                torch.zeros(1, 4).bfloat16(),
                torch.zeros(1, 4).half(),
            ),
        ]
    )


def test_frames_are_told_apart():
    one = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    assert_all_differ(
        [
            *(one, one[["b", "a"]], one.rename(columns={"a": "c"}), one.astype(float)),
            *(one.astype("category"), one.astype(str), one.astype(object)),
            *(one.astype("Int64"), one.to_numpy(), one[["a"]]),
            one.rename(columns={"a": 1}),
            one.rename(columns={"a": "1"}),
        ]
    )
    # The index is a name of the row, not its content.
    assert_array_equal(row_keys(one.set_axis([5, 6]))[0], row_keys(one)[0])


def test_words_of_a_frame_are_not_run_together():
    frames = [pd.DataFrame({"a": [a], "b": [b]}) for a, b in [("x", "yz"), ("xy", "z")]]
    assert_all_differ(frames)


def test_mappings_are_told_apart():
    a, b = np.zeros((1, 2)), np.ones((1, 2))
    assert_all_differ(
        [{"a": a, "b": b}, {"a": b, "b": a}, {1: a, "1": b}, {1: b, "1": a}, {"a": a}]
    )


def test_masks_count():
    values = np.zeros((1, 2))
    assert_all_differ(
        [np.ma.array(values, mask=mask) for mask in ([[0, 0]], [[0, 1]], [[1, 1]])]
    )


def test_inputs_of_a_lazy_row_are_told_apart():
    zero, one = torch.zeros(2), torch.ones(2)
    rows = [(zero, one), (one, zero), (one, one), {"a": zero}, {"b": zero}, zero]
    assert_all_differ([Pairs([row]) for row in rows])


def test_palettes_count():
    images = []
    for colour in (10, 20):
        image = Image.new("P", (2, 2))
        image.putpalette([colour] * 3)
        images.append(image)
    assert_array_equal(*map(np.asarray, images))
    assert_all_differ([[image] for image in images])


def test_texts_and_what_they_look_like():
    path = os.path.abspath(__file__)
    stamp = os.stat(path)
    rows = [
        *("1", 1, 1.0, True, None, "", "None", b"1", "\0", "\ud800", ("a", "b"), "ab"),
        *(path, f"file {stamp.st_size} {stamp.st_mtime_ns} {path}", f"text {path}"),
        *(f"{path}\0{stamp.st_size} {stamp.st_mtime_ns}", fingerprint(1)),
    ]
    values = np.empty(len(rows), dtype=object)
    values[:] = rows
    assert_all_differ([values])
    assert_array_equal(row_keys(np.array([path]))[0], row_keys([Path(path)])[0])


@pytest.mark.parametrize("change", ["content", "size", "times", "moved", "gone"])
def test_a_file_that_changes_is_another_row(change, tmp_path, monkeypatch):
    file, other = tmp_path / "a.bin", tmp_path / "b.bin"
    file.write_bytes(b"one")
    other.write_bytes(b"two")
    os.utime(file, ns=(10**18, 10**18))
    os.utime(other, ns=(10**18, 10**18))
    keys = row_keys([str(file), str(other)])[0]
    if change == "content":
        file.write_bytes(b"two")
    elif change == "size":
        file.write_bytes(b"three")
        os.utime(file, ns=(10**18, 10**18))
    elif change == "times":
        os.utime(file)
    elif change == "moved":  # same size, and even the same time
        other.replace(file)
        other.write_bytes(b"new")
    else:
        file.unlink()
    assert (row_keys([str(file)])[0] != keys[:1]).any()
    assert_array_equal(row_keys([file])[0], row_keys([str(file)])[0])
    monkeypatch.chdir(tmp_path)
    assert_array_equal(row_keys(["b.bin"])[0], row_keys([str(other)])[0])


def test_sparse_rows_by_content_and_left_alone():
    messy = sp.csr_matrix(
        (np.array([1.0, 2.0, 3.0]), np.array([2, 0, 0]), np.array([0, 3])), shape=(1, 4)
    )
    for part in (messy.data, messy.indices, messy.indptr):
        part.flags.writeable = False  # as joblib maps large arrays
    tidy = sp.csr_matrix([[5.0, 0, 1.0, 0]])
    assert_array_equal(row_keys(messy)[0], row_keys(tidy)[0])
    assert messy.nnz == 3
    shifted = [sp.csr_matrix([[5.0, 0, 0, 1.0]]), sp.csr_matrix([[5.0, 1.0]])]
    assert_all_differ([tidy, *shifted, tidy.astype("f")])


@pytest.mark.parametrize(
    "rows",
    [
        [threading.Lock()],
        [(i for i in "ab")],
        np.array([lambda: 1], dtype=object),
        Pairs([torch.zeros(2), torch.zeros(3)]),
        object(),
    ],
)
def test_rows_that_cannot_be_known(rows):
    with pytest.raises(FingerprintError, match=r"memory= cannot tell.*memory=False"):
        row_keys(rows)


def test_reading_draws_no_random_number():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for form in (*FORMS.values(), *LISTS.values(), *LAZY.values()):
        row_keys(form)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])


def test_seeds_of_views_go_with_the_row():
    keys, _ = row_keys(X)
    seeds = view_seeds(keys, 3)
    assert seeds.shape == (12, 3) and seeds.dtype == np.int64
    assert len(np.unique(seeds)) == 36
    assert_array_equal(view_seeds(row_keys(X[INDEX])[0], 3), seeds[INDEX])
    # More views leave those there were alone.
    assert_array_equal(view_seeds(keys, 5)[:, :3], seeds)


def test_strides_are_not_content():
    """As with the empty arrays of an SVC, and views, once they were pickled."""
    rows, labels = np.arange(24.0).reshape(12, 2), np.arange(12) % 3
    teacher = SVC().fit(rows, labels)
    teacher.of_a_view = rows[::2, :1]
    twin = pickle.loads(pickle.dumps(teacher))
    assert fingerprint(as_teacher(twin)) == fingerprint(as_teacher(teacher))
    teacher.of_a_view = rows[1::2, :1]
    assert fingerprint(as_teacher(twin)) != fingerprint(as_teacher(teacher))
