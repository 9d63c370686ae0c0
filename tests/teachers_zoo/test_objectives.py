"""What `predict_proba` of boosted trees gives is known by their objective."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from zoo_case import ZOO

from skkd import DistilledClassifier
from skkd.teachers import as_teacher

catboost = pytest.importorskip("catboost")
lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

pytestmark = ZOO
X, Y = load_iris(return_X_y=True)
BINARY = Y > 0
TASKS = {2: (X[BINARY], Y[BINARY] - 1), 3: (X, Y)}
LABELS = np.stack([Y == 0, Y > 0, Y == 2], axis=1).astype(int)
FEW = {"n_estimators": 3, "n_jobs": 1}


def derivatives(y, scores):
    """Return gradient and second derivative of cross-entropy."""
    if np.ndim(scores) == 1:
        p = expit(scores)
        return p - y, p * (1 - p)
    p = softmax(scores, axis=1)
    return p - np.eye(p.shape[1])[y.astype(int)], 2 * p * (1 - p)


class OfOneScore:
    # CatBoost compiles these, by numba: no scipy.
    def calc_ders_range(self, scores, targets, weights):
        p = 1 / (1 + np.exp(-np.asarray(scores)))
        return [(targets[i] - p[i], -p[i] * (1 - p[i])) for i in range(len(p))]


class OfScores:
    def calc_ders_multi(self, scores, target, weight):
        p = np.exp(np.asarray(scores))
        p = p / p.sum()
        first = -p
        first[int(target)] += 1
        second = np.outer(p, p) - np.diag(p)
        return first, second


def xgb(objective, n_classes=2, **params):
    model = xgboost.XGBClassifier(objective=objective, **FEW, **params)
    return model.fit(*TASKS[n_classes])


def lgbm(objective, n_classes=2, **params):
    model = lightgbm.LGBMClassifier(objective=objective, verbose=-1, **FEW, **params)
    return model.fit(*TASKS[n_classes])


def cat(loss, n_classes=2, data=None, **params):
    options = {"iterations": 3, "thread_count": 1, "allow_writing_files": False}
    model = catboost.CatBoostClassifier(
        loss_function=loss, verbose=False, **options, **params
    )
    return model.fit(*(data or TASKS[n_classes]))


PROBABILITIES = [
    *[(xgb, name, 2, {}) for name in ("binary:logistic", "reg:logistic")],
    *[(xgb, name, 3, {}) for name in ("multi:softprob", "multi:softmax")],
    *[(xgb, derivatives, n, {}) for n in (2, 3)],
    (xgb, derivatives, 2, {"base_score": 0.3}),
    *[(lgbm, name, 2, {}) for name in (None, "binary", "cross_entropy", "xentropy")],
    (lgbm, "binary", 2, {"sigmoid": 2.0}),
    *[(lgbm, name, 3, {}) for name in ("multiclass", "softmax", "multiclassova")],
    *[(lgbm, name, 3, {}) for name in ("ova", "ovr", "multiclass_ova")],
    *[(cat, name, 2, {}) for name in ("Logloss", "CrossEntropy", None)],
    (cat, "Focal:focal_alpha=0.4;focal_gamma=1", 2, {}),
    *[(cat, name, 3, {}) for name in ("MultiClass", "MultiClassOneVsAll", None)],
    (cat, OfOneScore(), 2, {"eval_metric": "Logloss"}),
    (cat, OfScores(), 3, {"eval_metric": "MultiClass"}),
]


def of_scores(model, X):
    """Return probabilities by the scores that the trees add up to."""
    options = {
        "XGBClassifier": {"output_margin": True},
        "LGBMClassifier": {"raw_score": True},
        "CatBoostClassifier": {"prediction_type": "RawFormulaVal"},
    }
    scores = model.predict(X, **options[type(model).__name__])
    scores = scores * model.get_params().get("sigmoid", 1)
    if scores.ndim == 1:
        scores = np.column_stack([np.zeros_like(scores), scores])
    return softmax(scores, axis=1)


@pytest.mark.parametrize(("make", "objective", "n", "params"), PROBABILITIES)
def test_these_objectives_give_probabilities(make, objective, n, params):
    model, inputs = make(objective, n, **params), TASKS[n][0]
    teacher = as_teacher(model)
    assert teacher.output_kind() == "proba"
    p = softmax(teacher.logits(inputs, range(n)), axis=1)
    expected = model.predict_proba(inputs)
    np.testing.assert_allclose(p, expected / expected.sum(1, keepdims=True), atol=1e-6)
    if "ova" not in str(objective) and objective not in ("ovr", "MultiClassOneVsAll"):
        np.testing.assert_allclose(p, of_scores(model, inputs), atol=1e-6)


def test_the_margins_of_xgboost_are_logits():
    inputs = TASKS[2][0]
    model = xgb("binary:logitraw")
    teacher = as_teacher(model)
    assert teacher.output_kind() == "logits"
    logits = teacher.logits(inputs, [0, 1])
    assert (logits[:, 0] == 0).all()
    np.testing.assert_array_equal(
        logits[:, 1], model.predict(inputs, output_margin=True)
    )
    model, twin = (
        xgb("binary:logitraw", base_score=0),
        xgb("binary:logistic", base_score=0.5),
    )
    logits = as_teacher(model).logits(inputs, [0, 1])
    np.testing.assert_allclose(
        softmax(logits, axis=1), twin.predict_proba(inputs), atol=1e-6
    )
    explicit = as_teacher(make_pipeline(StandardScaler().fit(X), model))
    assert explicit.output_kind() == "logits"
    swapped = as_teacher(model, output="logits").logits(inputs, [1, 0])
    np.testing.assert_array_equal(swapped, logits[:, ::-1])


def test_a_model_loaded_from_a_file_is_known_by_it(tmp_path):
    xgb("binary:logitraw").save_model(tmp_path / "raw.json")
    model = xgboost.XGBClassifier()
    model.load_model(tmp_path / "raw.json")
    assert as_teacher(model).output_kind() == "logits"
    xgb(derivatives).save_model(tmp_path / "own.json")
    model.load_model(tmp_path / "own.json")
    assert as_teacher(model).output_kind() == "proba"
    regressor = catboost.CatBoostRegressor(
        iterations=2, verbose=False, allow_writing_files=False
    ).fit(X, Y)
    regressor.save_model(str(tmp_path / "r.cbm"))
    model = catboost.CatBoostClassifier().load_model(str(tmp_path / "r.cbm"))
    with pytest.raises(ValueError, match="RMSE"):
        as_teacher(model).output_kind()


@pytest.mark.filterwarnings("ignore:Cannot compute class prob")  # of LightGBM
@pytest.mark.parametrize("n", [2, 3])
def test_raw_scores_of_lightgbm_are_what_the_user_says(n):
    inputs, y = TASKS[n]
    model = lgbm(derivatives, n)
    for output in ("auto", "proba"):
        teacher = as_teacher(model, output=output)
        with pytest.raises(ValueError, match=r"as_teacher\(model, output='logits'\)"):
            DistilledClassifier(teacher=teacher).fit(inputs, y)
    logits = as_teacher(model, output="logits").logits(inputs, range(n))
    np.testing.assert_allclose(
        softmax(logits, axis=1), of_scores(model, inputs), atol=1e-6
    )
    assert (logits.argmax(axis=1) == y).mean() > 0.9


NO_PROBABILITIES = [
    *[(xgb, f"rank:{name}") for name in ("pairwise", "ndcg", "map")],
    *[(xgb, name) for name in ("count:poisson", "reg:squarederror", "binary:hinge")],
    *[(xgb, name) for name in ("reg:tweedie", "survival:cox", "reg:absoluteerror")],
    *[(lgbm, name) for name in ("cross_entropy_lambda", "xentlambda", "regression")],
    *[(lgbm, name) for name in ("poisson", "mape", "regression_l1", "tweedie")],
]


@pytest.mark.parametrize(("make", "objective"), NO_PROBABILITIES)
def test_other_objectives_are_refused_and_calibrated(make, objective):
    model, (inputs, y) = make(objective), TASKS[2]
    with pytest.raises(ValueError, match=f"(?s){objective}.*CalibratedClassifierCV"):
        DistilledClassifier(teacher=model).fit(inputs, y)
    calibrated = CalibratedClassifierCV(FrozenEstimator(model)).fit(inputs, y)
    logits = as_teacher(calibrated).logits(inputs, [0, 1])
    assert (logits.argmax(axis=1) == y).mean() > 0.8


def test_the_users_word_counts_for_a_mean():
    model = xgb("reg:squarederror")
    logits = as_teacher(model, output="proba").logits(TASKS[2][0], [0, 1])
    np.testing.assert_allclose(
        np.exp(logits), model.predict_proba(TASKS[2][0]), rtol=1e-5
    )
    with pytest.raises(ValueError, match="logitraw"):
        as_teacher(xgb("binary:logitraw"), output="proba").output_kind()


def raw():
    return xgboost.XGBClassifier(objective="binary:logitraw", **FEW)


AVERAGES = {
    "bagging": lambda: BaggingClassifier(raw(), 2),
    "voting": lambda: VotingClassifier([("raw", raw())], voting="soft"),
    "threshold": lambda: FixedThresholdClassifier(raw()),
    "search": lambda: GridSearchCV(BaggingClassifier(raw(), 2), {"n_jobs": [1]}, cv=2),
    "inside": lambda: VotingClassifier(
        [("pipeline", make_pipeline(StandardScaler(), raw()))], voting="soft"
    ),
    "last": lambda: StackingClassifier([("raw", raw())], BaggingClassifier(raw(), 2)),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averages_of_margins_are_refused(name):
    model = AVERAGES[name]().fit(*TASKS[2])
    with pytest.raises(ValueError, match="binary:logitraw"):
        as_teacher(model).logits(TASKS[2][0], [0, 1])


def test_what_learns_from_margins_gives_probabilities():
    model = StackingClassifier([("raw", raw())]).fit(*TASKS[2])
    assert as_teacher(model).output_kind() == "proba"
    model = GridSearchCV(raw(), {"max_depth": [2]}, cv=2).fit(*TASKS[2])
    assert as_teacher(model).output_kind() == "logits"


@pytest.mark.parametrize("columns", [[0, 1], [0, 1, 2]])
@pytest.mark.parametrize("library", ["xgboost", "MultiLogloss", "MultiCrossEntropy"])
def test_several_labels_are_refused(library, columns):
    labels = LABELS[:, columns]
    if library == "xgboost":
        model = xgboost.XGBClassifier(**FEW).fit(X, labels)
    else:
        model = cat(library, data=(X, labels))
    with pytest.raises(ValueError, match="several labels"):
        as_teacher(model).logits(X, columns)
    teacher = as_teacher(
        lambda X: model.predict_proba(X)[:, 1], output="proba", classes=[0, 1]
    )
    assert (teacher.logits(X, [0, 1]).argmax(axis=1) == labels[:, 1]).mean() > 0.9


@pytest.mark.parametrize(
    "model",
    [xgboost.XGBClassifier(), lightgbm.LGBMClassifier(), catboost.CatBoostClassifier()],
)
def test_one_that_is_not_fitted_has_no_objective_yet(model):
    assert as_teacher(model).output_kind() == "proba"
