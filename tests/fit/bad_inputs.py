"""What cannot be fitted, and what is said of each: a table for test_bad_inputs.py.

A case is what is wrong, ``(how, pattern)``; `how` sets parameters, gives arguments to
`fit`, or replaces the data. The pattern is what was got, what was expected, and what to
do, as far as that is not plain from the second.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import KFold, StratifiedKFold
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skkd.augment import Mixup, RandomHorizontalFlip
from skkd.callbacks import Anneal
from skkd.losses import FitNet
from skkd.memory import LogitMemory
from skkd.tables import SyntheticRows

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")
TEACHER = LogisticRegression(max_iter=500).fit(X, Y)
# The first rows of X with one of them changed.
NAN, INF = X.copy(), X.copy()
NAN[3, 1], INF[3, 1] = np.nan, np.inf
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
LOGITS = np.zeros((150, 3))


SAME = object()  # as good data


@dataclass
class Case:
    """A fit that is to be refused."""

    pattern: str
    params: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    X: Any = SAME
    y: Any = SAME
    kinds: tuple[type, ...] = (ValueError, TypeError)

    def data(self):
        """Return X and y."""
        return X if self.X is SAME else self.X, Y if self.y is SAME else self.y


def network(n_in, n_out):
    """Return a teacher that is larger than its student."""
    return nn.Sequential(nn.Linear(n_in, 500), nn.ReLU(), nn.Linear(500, n_out))


def changed(array, place, value):
    array = np.array(array)
    array[place] = value
    return array


class Outputs(nn.Linear):
    """A student whose forward makes something else of its logits."""

    def __init__(self, change):
        super().__init__(4, 3)
        self.change = change

    def forward(self, x):
        return self.change(super().forward(x))


class NoParameters(nn.Module):
    def forward(self, x):
        return x[:, :3]


class Constant(nn.Linear):
    def forward(self, x):
        return super().forward(torch.ones(len(x), 4))


class NeedsWidth(nn.Linear):
    def __init__(self, width, n_classes):
        super().__init__(4, n_classes)


class Frozen(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
        self.requires_grad_(False)


class LabelsOnly(BaseEstimator):
    """Neither a classifier nor a function."""

    classes_ = np.arange(3)

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X))


class Says:
    """A teacher that gives whatever it is to give."""

    classes_ = np.arange(3)

    def __init__(self, answer):
        self.answer = answer

    def predict_proba(self, X):
        return self.answer(X)


def one_number(student, teacher, y, temperature):
    return student - teacher


def no_gradient(student, teacher, y, temperature):
    return (student.argmax(1) != teacher.argmax(1)).float()


def two_arguments(student, teacher):
    return student.mean(1)


def param(name, pattern, *values, kinds=(ValueError, TypeError), **others):
    """Return a case for each of the values of a parameter."""
    return {
        f"{name}={_shown(value)}": Case(pattern, {name: value, **others}, kinds=kinds)
        for value in values
    }


def _shown(value):
    text = getattr(value, "__name__", None) or repr(value)
    return text.partition(" at 0x")[0].replace("\n", " ")[:60]


TEMPERATURE = r"temperature=.*: expected a finite number above 0.*(soften|to 1e6)"
ALPHA = r"alpha=.*: expected a number in \[0, 1\], the weight of the teacher"
NUMBERS = {
    **param("temperature", TEMPERATURE, 0, -1, np.nan, np.inf, -np.inf, 1e300, 1e-300),
    **param("temperature", TEMPERATURE, "4", None, True, [1], 1j, np.array([1.0, 2.0])),
    **param("alpha", ALPHA, -0.1, 1.1, np.nan, np.inf, "0.5", None, True, [0.5]),
    **param("lr", r"lr=.*: expected a finite number", np.inf, np.nan, -1, "0.1", None),
    **param("lr", r"lr=.*: expected a finite number", True, [0.1], np.array(-1.0)),
    **param("max_epochs", r"max_epochs=.*: expected an int of at least 0", -1, 0.5),
    **param("max_epochs", r"max_epochs=.*: expected an int", np.nan, "3", None, True),
    **param("max_epochs", r"max_epochs=.*: expected an int", np.inf, [3]),
    **param("batch_size", r"batch_size=.*-1 takes all samples", None, 0, -2, 0.5),
    **param("batch_size", r"batch_size=.*-1 takes all samples", "64", np.nan, True),
}
OPTIONS = {
    **param("precision", r"precision=.*: expected 'fp32', 'bf16' or", "fp8", None, 32),
    **param("on_interrupt", r"on_interrupt=.*: expected 'raise' or 'keep'", "stop", 1),
    **param("teacher_view", r"teacher_view=.*: expected 'same'", "dirty", None),
    **param("strict", r"strict=.*: expected True or False", "yes", None, 2),
    **param("warm_start", r"warm_start=.*: expected True or False", "no", 2),
    **param("random_state", r"random_state=.*: expected None, an int", -1, 2**32, 1.5),
    **param("random_state", r"random_state=.*: expected None, an int", "zero", [1, 2]),
    **param("random_state", r"random_state=.*: expected", np.random.default_rng(0)),
    **param("device", r"device=.*: expected 'auto', 'cpu'", "gpu", 3, "cpu:x"),
    **param(
        "predict_nonlinearity", r"predict_nonlinearity=.*: expected 'auto'", "soft", 3
    ),
    **param("verbose", r"verbose=.*: expected an int", "loud", None),
}
PARTS = {
    **param("optimizer", r"optimizer=.*: expected a class, such as", "adam", None, 3),
    **param(
        "optimizer", r"optimizer=.*expected a class", torch.optim.Adam([torch.zeros(1)])
    ),
    **param("optimizer", r"optimizer=Linear.*expected a class, such as", nn.Linear),
    **param("optimizer__betas", r"optimizer=Adam.*betas=3.*optimizer__", 3),
    **param("optimizer__weight_decay", r"optimizer=Adam.*weight_decay.*-1", -1),
    **param("optimizer__momentum", r"optimizer__momentum: Adam.*It has", 0.9),
    **param("criterion", r"criterion=.*: expected a class, such as", "ce", None, 3),
    **param("criterion", r"NLLLoss expects probabilities.*Leave criterion", nn.NLLLoss),
    **param("criterion__smoothing", r"criterion__smoothing: CrossEnt.*It has", 0.1),
    **param("dataset", r"dataset=.*: expected a class, such as", "dataset"),
    **param("iterator_train", r"iterator_train=.*: expected a class", 3, "loader"),
    **param("iterator_valid", r"iterator_valid=.*: expected a class", 3),
    **param("iterator_train__num_workers", r"num_workers.*non-negative", -1),
    **param("iterator_train__shufle", r"shufle.*Did you mean 'shuffle'", True),
    **param("train_split", r"train_split=.*expected a splitter", 0.2, 5),
    **param("train_split", r"train_split=.*expected skorch", "x", StratifiedKFold(3)),
    **param("callbacks", r"callbacks=.*: expected a list of callbacks", "all", 3),
    **param("callbacks", r"callbacks=.*3.*expected .*callback", [3], [("a", 3)]),
    **param("callbacks", r"callbacks=.*expected .*callback", ["x"], [nn.Linear(1, 1)]),
    **param("callbacks", r"valid_loss.*train_split=ValidSplit", [EarlyStopping()]),
    **param("callbacks", r"alpha", [Anneal("alpha", 0.5, 3.0)]),
    **param("tempperature", r"tempperature.*Did you mean 'temperature'", 3),
    **param("classes", r"classes=.*: expected a list of labels", [], 3, "abc"),
    **param("classes", r"classes=.*names a class twice", [0, 1, 2, 2]),
    **param("classes", r"labels outside the known classes: 2.*classes=", [0, 1]),
    **param("class_weight", r"class_weight=.*: expected .*'balanced'", "even", 3, [1]),
    **param("class_weight", r"class_weight.*7.*no label of y", {7: 1.0}),
    **param(
        "class_weight", r"class_weight.*expected .*at least 0", {0: -1.0, 1: 1, 2: 1}
    ),
    **param(
        "class_weight", r"class_weight.*expected .*at least 0", {0: np.nan}, {0: "1"}
    ),
    **param("unlabeled", r"unlabeled='0' is no label of y.*Pass y", "0"),
    **param("memory", r"memory", 3.5, True),
    **param("memory", r"dtype='f8': expected 'float32'", LogitMemory(dtype="f8")),
    **param("memory", r"top_k=0: expected an int of at least 1", LogitMemory(top_k=0)),
    **param("memory", r"verify=-1: expected an int", LogitMemory(verify=-1)),
    **param("memory", r"max_bytes=nan: expected an int", LogitMemory(max_bytes=np.nan)),
    **param("preprocessor", r"preprocessor=.*expected", "autoo", 3),
    **param("synthetic", r"synthetic=.*expected", 3, "many"),
}
STUDENTS = {
    **param("module", r"module=.*: expected a class, such as .*or None", "MLP", 3),
    "a module of other inputs": Case(
        r"student Linear.*does not take rows of X \(\(4,\), float32\)",
        {"module": nn.Linear(5, 3)},
    ),
    "a module of other outputs": Case(
        r"shape \(n, 2\), expected \(n, 3\).*n_classes", {"module": nn.Linear(4, 2)}
    ),
    "a module without parameters": Case(
        r"NoParameters.*no parameter to train.*requires_grad_", {"module": NoParameters}
    ),
    "a module with frozen parameters": Case(
        r"no parameter to train.*requires_grad_", {"module": Frozen}
    ),
    "a module that does not use X": Case(
        r"same outputs for all rows.*does not use its input",
        {"module": Constant(4, 3)},
    ),
    "a module that ends in a softmax": Case(
        r"ends in a softmax.*Leave out the last layer",
        {"module": nn.Sequential(nn.Linear(4, 3), nn.Softmax(1))},
    ),
    "a module with an argument that nobody gives": Case(
        r"NeedsWidth cannot be built.*module__<argument>", {"module": NeedsWidth}
    ),
    "an unknown argument of the module": Case(
        r"cannot be built.*width.*module__<argument>", {"module__width": 3}
    ),
    **{
        f"a module that returns {name}": Case(
            pattern, {"module": partial(Outputs, change)}
        )
        for name, (change, pattern) in {
            "None": (lambda z: None, r"returns a NoneType, expected a tensor"),
            "a list": (lambda z: [1, 2], r"returns a .*, expected a tensor"),
            "an array": (lambda z: z.detach().numpy(), r"returns a ndarray, expected"),
            "NaN": (lambda z: z * np.nan, r"gives NaN or infinity.*Scale X"),
            "one axis": (lambda z: z[:, 0], r"shape \(n\), expected \(n, 3\)"),
            "one column": (lambda z: z[:, :1], r"shape \(n, 1\), expected \(n, 3\)"),
            "three axes": (
                lambda z: z[..., None],
                r"shape \(n, 3, 1\).*logits.flatten",
            ),
            "one row": (
                lambda z: z[:1],
                r"shape \(1, 3\) for 2 rows, expected \(2, 3\).*first axis",
            ),
            "whole numbers": (lambda z: z.round().long(), r"int64.*expected"),
            "no gradient": (lambda z: z.detach(), r"gradient|detach"),
        }.items()
    },
}
TEACHERS = {
    **param("teacher", r"teacher", 3, "svc", object(), KMeans(3).fit(X), PCA(2).fit(X)),
    **param("teacher", r"expected .*classifier", LinearRegression().fit(X, Y)),
    **param("teacher", r"empty|no member", []),
    **param("teacher", r"LogisticRegression.*class|instance", LogisticRegression),
    "an unfitted teacher": Case(
        r"LogisticRegression.*not fitted.*teacher_cv=",
        {"teacher": LogisticRegression()},
    ),
    "an unfitted teacher in a list": Case(
        r"not fitted", {"teacher": [TEACHER, LogisticRegression()]}
    ),
    "an uninitialized net": Case(
        r"not fitted|not initialized",
        {"teacher": NeuralNetClassifier(nn.Linear(4, 3))},
    ),
    "a teacher of other columns": Case(
        r"teacher.*\(150, 4\)|5", {"teacher": network(5, 3)}
    ),
    "a teacher of other classes": Case(r"7.*3|classes", {"teacher": network(4, 7)}),
    "a teacher of other labels": Case(r"does not know the classes", {}, y=NAMES),
    "a teacher of fewer columns": Case(
        r"3 features|2 features", {"teacher": LogisticRegression().fit(X[:, :2], Y)}
    ),
    "a teacher of labels alone": Case(r"LabelsOnly", {"teacher": LabelsOnly()}),
    **{
        f"a teacher that gives {name}": Case(pattern, {"teacher": Says(answer)})
        for name, (answer, pattern) in {
            "NaN": (lambda X: np.full((len(X), 3), np.nan), r"not finite|NaN"),
            "fewer rows": (
                lambda X: np.full((1, 3), 1 / 3),
                r"shape \(1, 3\).*expected \(150, 3\)",
            ),
            "fewer columns": (lambda X: np.full((len(X), 2), 0.5), r"column"),
            "text": (lambda X: np.full((len(X), 3), "a"), r"dtype|number"),
            "negative numbers": (lambda X: np.tile([2, -1, 0], (len(X), 1)), r"proba"),
            "one axis": (lambda X: np.ones(len(X)), r"shape"),
        }.items()
    },
    **param("teacher_cv", r"teacher_cv='.*': expected 'prefit', None, an int", "fit"),
    **param("teacher_cv", r"teacher_cv=|splits|fold", 0, 1, -3, 2.5, 200),
    **param("teacher_cv", r"fold|row", [([0, 1], [2])], [(np.arange(150), [0])]),
    **param("teacher_cv", r"teacher_cv=True", True),
    "a teacher_cv of one split": Case(
        r"row",
        {"teacher": LogisticRegression(), "teacher_cv": [(range(75), range(75, 150))]},
    ),
    "a teacher_transform that is none": Case(
        r"transform of the teacher is 3: expected a callable", {"teacher_transform": 3}
    ),
    "a teacher_transform of clones": Case(
        r"teacher_transform=.*prefit",
        {
            "teacher_transform": torch.relu,
            "teacher_cv": 3,
            "teacher": RidgeClassifier(),
        },
    ),
    "findings, with strict": Case(
        r"strict|constant", {"teacher": lambda X: np.zeros((len(X), 3)), "strict": True}
    ),
}
LOSSES = {
    **param("distillation", r"distillation='kb'.*'kd'", "kb"),
    **param("distillation", r"distillation=", 3, None, ["kd"]),
    **param("distillation", r"shape \(64, 3\), expected \(64,\).*sum over", one_number),
    **param("distillation", r"no.*gradient|teaches nothing", no_gradient),
    **param("distillation", r"two_arguments|argument", two_arguments),
    **param("distillation__beta", r"beta", 3),
    **param("distillation", r"layer", FitNet()),
    "a loss on features of a forest": Case(
        r"layers|torch",
        {"distillation": FitNet("0", "0"), "module": nn.Sequential(nn.Linear(4, 3))},
    ),
}
VIEWS = {
    **param("augment", r"augment=.*: expected a callable, tensor to tensor", "flip", 3),
    **param("n_views", r"n_views=.* are views that augment= makes", 2),
    **param(
        "n_views",
        r"n_views=.*: expected None, a whole number",
        *(0, -1, 1.5, "2"),
        augment=RandomHorizontalFlip(),
    ),
    "views that mix rows": Case(
        r"mixes the rows.*Leave out n_views", {"augment": Mixup(), "n_views": 2}
    ),
    "views without seeds": Case(
        r"takes no `seeds`.*skkd\.augment", {"augment": torch.relu, "n_views": 2}
    ),
    "clean views of nothing": Case(
        r"teacher_view=.*augment=", {"teacher_view": "clean"}
    ),
}
ARGUMENTS = {
    "logits of other columns": Case(
        r"shape \(150, 2\), expected \(150, 3\)",
        given={"teacher_logits": LOGITS[:, :2]},
    ),
    "logits of other rows": Case(
        r"shape \(9, 3\), expected \(150, 3\)", given={"teacher_logits": LOGITS[:9]}
    ),
    "logits of one axis": Case(
        r"shape \(150,\), expected \(150, 3\)", given={"teacher_logits": LOGITS[:, 0]}
    ),
    "logits with NaN": Case(
        r"not finite in 1 of 150 rows \(the first is row 3\).*clip",
        given={"teacher_logits": changed(LOGITS, 3, np.nan)},
    ),
    "infinite logits": Case(
        r"not finite in 1 of 150 rows.*clip",
        given={"teacher_logits": changed(LOGITS, (3, 1), np.inf)},
    ),
    "logits beyond float32": Case(
        r"not finite in 150 of 150", given={"teacher_logits": LOGITS + 1e300}
    ),
    "logits of text": Case(
        r"dtype <U1, expected floating",
        given={"teacher_logits": np.full((150, 3), "a")},
    ),
    "logits of objects": Case(
        r"dtype object, expected", given={"teacher_logits": LOGITS.astype(object)}
    ),
    "teacher_X of other rows": Case(
        r"teacher_X has 10 rows, expected 150", given={"teacher_X": X[:10]}
    ),
    "negative weights": Case(
        r"[Nn]egative.*sample_weight", given={"sample_weight": -np.ones(150)}
    ),
    "weights with NaN": Case(
        r"sample_weight.*NaN", given={"sample_weight": changed(np.ones(150), 3, np.nan)}
    ),
    "infinite weights": Case(
        r"sample_weight.*infinity",
        given={"sample_weight": changed(np.ones(150), 3, np.inf)},
    ),
    "weights of other rows": Case(
        r"sample_weight\.shape == \(9,\), expected \(150,\)",
        given={"sample_weight": np.ones(9)},
    ),
    "weights of two axes": Case(
        r"[Ss]ample.weight.*1D|1-dim", given={"sample_weight": np.ones((150, 2))}
    ),
    "weights of text": Case(
        r"could not convert|number", given={"sample_weight": np.full(150, "a")}
    ),
    "weights of zero": Case(
        r"at least one non-zero number. In sample_weight expected",
        given={"sample_weight": np.zeros(150)},
    ),
    "groups of nothing": Case(
        r"groups= .*nothing is split: leave it out", given={"groups": np.arange(150)}
    ),
    "groups of other rows": Case(
        r"groups has shape \(9,\), expected \(150,\)",
        {"train_split": ValidSplit(3)},
        given={"groups": np.arange(9)},
    ),
    "an argument of nobody": Case(
        r"fit got sampel_weight=.*Did you mean 'sample_weight'",
        given={"sampel_weight": np.ones(150)},
    ),
}
DATA = {
    "X with NaN": Case(r"X contains NaN", X=NAN),
    "X with infinity": Case(r"X contains infinity", X=INF),
    "X of one axis": Case(r"Expected 2D array, got 1D array", X=X[:, 0]),
    "X without rows": Case(r"0 sample", X=X[:0], y=Y[:0]),
    "X without columns": Case(r"0 feature", X=X[:, :0]),
    "X of text": Case(r"text|string|numbers", X=np.full((150, 4), "a")),
    "X of objects": Case(r"number|float", X=np.full((150, 4), object())),
    "X of complex numbers": Case(r"Complex data not supported", X=X + 1j),
    "X of dates": Case(r"datetime64|numbers", X=np.zeros((150, 4), "datetime64[s]")),
    "X of paths": Case(r"ImageReader", X=["a.png"] * 150),
    "X that is None": Case(r"None|NoneType", X=None),
    "X that is a number": Case(r"scalar|0D|number", X=3.0),
    "X that is text": Case(r"string|str", X="iris.csv"),
    "X of ragged rows": Case(r"inhomogeneous|sequence", X=[[1.0, 2.0], [1.0]] * 75),
    "a DataLoader": Case(
        r"DataLoader.*expected arrays, or a torch Dataset",
        X=DataLoader(TensorDataset(torch.zeros(150, 4), torch.tensor(Y))),
    ),
    "a generator": Case(r"generator.*expected arrays", X=(row for row in X)),
    "a list of pairs": Case(r"list of pairs.*SliceDataset", X=[(row, 0) for row in X]),
    "sparse X with NaN": Case(r"X contains NaN", X=csr_array(NAN)),
    "a mapping of unequal lengths": Case(
        r"X has inputs of \{'a': 150, 'b': 9\} rows: expected", X={"a": X, "b": X[:9]}
    ),
    "an empty Dataset": Case(
        r"empty|0 sample|no rows",
        X=TensorDataset(torch.zeros(0, 4), torch.zeros(0)),
        y=None,
    ),
    "a frame with one name twice": Case(
        r"column|name", X=pd.DataFrame(X, columns=["a", "a", "b", "c"])
    ),
    "y that is None": Case(r"requires y to be passed", y=None),
    "y of other rows": Case(r"inconsistent numbers of samples", y=Y[:9]),
    "y of one-hot rows": Case(r"1d array.*argmax", y=np.eye(3)[Y]),
    "y of one class": Case(
        r"y has one class only, 0.*classes=\[", y=np.zeros(150, int)
    ),
    "y with NaN": Case(
        r"1 rows of y have no label.*unlabeled", y=changed(Y.astype(float), 3, np.nan)
    ),
    "y with None": Case(
        r"1 rows of y have no label.*unlabeled", y=changed(Y.astype(object), 3, None)
    ),
    "y with infinity": Case(
        r"y contains infinity", y=changed(Y.astype(float), 3, np.inf)
    ),
    "y of real numbers": Case(r"Unknown label type|continuous", y=Y + X[:, 0]),
    "y of several types": Case(
        r"labels of several types, int, str: expected",
        y=changed(Y.astype(object), 3, "a"),
    ),
    "y of lists": Case(r"label|1d", y=[[1], [1, 2]] * 75),
    "y that is text": Case(r"y|1d", y="setosa"),
    "labels that are all unlabelled": Case(
        r"No row of y is labelled|unlabelled|one class",
        {"unlabeled": 0},
        y=np.zeros(150, int),
    ),
    "unlabelled rows that nobody teaches": Case(
        r"rows are marked as unlabelled.*pass teacher=",
        {"teacher": None, "unlabeled": -1},
        y=changed(Y, slice(0, 9), -1),
    ),
}
BAD = (
    NUMBERS | OPTIONS | PARTS | STUDENTS | TEACHERS | LOSSES | VIEWS | ARGUMENTS | DATA
)
_ = KFold, SyntheticRows
