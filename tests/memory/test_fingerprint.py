"""Fingerprints of teachers: other content, another hash; and back."""

import copy
import pickle
import sys
import threading
import types
from collections import OrderedDict
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import BallTree, KDTree
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.utils import Bunch
from skorch import NeuralNetClassifier
from torch import nn

from skkd.memory._fingerprint import FingerprintError

# By way of the quick hash, which has to see whatever changes a fingerprint.
from skkd.memory._known import known_fingerprint as fingerprint
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
    loop, other = nn.Linear(2, 2), nn.Linear(2, 2)
    other.load_state_dict(loop.state_dict())
    for module in (loop, other):
        module.__dict__["parent"] = module
        module.forward = types.MethodType(nn.Linear.forward, module)
    assert same(loop, other)
    other.forward = types.MethodType(nn.Identity.forward, other)
    assert not same(loop, other)


def test_strides_are_not_content():
    """As with the empty arrays of an SVC, and views, once they were pickled."""
    rows, labels = np.arange(24.0).reshape(12, 2), np.arange(12) % 3
    teacher = SVC().fit(rows, labels)
    teacher.of_a_view = rows[::2, :1]
    twin = pickle.loads(pickle.dumps(teacher))
    assert fingerprint(as_teacher(twin)) == fingerprint(as_teacher(teacher))
    teacher.of_a_view = rows[1::2, :1]
    assert fingerprint(as_teacher(twin)) != fingerprint(as_teacher(teacher))


def test_what_a_teacher_notes_of_its_checks_is_no_content():
    teacher = as_teacher(nn.Linear(4, 3))
    before = fingerprint(teacher)
    teacher.logits(X, classes=[0, 1, 2])
    assert fingerprint(teacher) == before


TREES = {
    "rows": {"data": X + 1e-9},
    "metric": {"metric": "chebyshev"},
    "power": {"p": 4},
    "leaves": {"leaf_size": 2},
}


@pytest.mark.parametrize("kind", [KDTree, BallTree])
def test_what_a_tree_of_neighbours_counts_is_no_content(kind):
    options = {"data": X, "metric": "minkowski", "p": 3}
    tree = kind(**options)
    content = fingerprint(tree)
    tree.query(X)
    assert fingerprint(tree) == fingerprint(pickle.loads(pickle.dumps(tree))) == content
    others = [{**options, **change} for change in TREES.values()]
    del others[1]["p"]  # that metric has none
    hashes = {content, *(fingerprint(kind(**other)) for other in others)}
    assert len(hashes) == 1 + len(TREES)


def test_the_parts_of_a_bunch_count():
    part = GaussianNB().fit(X, np.arange(12) % 2)
    bunch = Bunch(a=part)
    content = fingerprint(bunch)
    assert fingerprint(pickle.loads(pickle.dumps(bunch))) == content
    part.theta_[0, 0] += 1e-12
    assert fingerprint(bunch) != content
    assert fingerprint({"a": part}) != fingerprint(bunch)
