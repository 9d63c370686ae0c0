"""Displays: what they compute and refuse, and that no label meets another."""

import ast
import sys
from pathlib import Path

import matplotlib
import numpy as np
import optuna
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from skorch.dataset import ValidSplit

import skkd.displays
from skkd import DistilledClassifier
from skkd.displays import (
    ConfusionDifferenceDisplay,
    ParetoDisplay,
    ReliabilityDisplay,
    SoftLabelsDisplay,
    TemperatureAlphaDisplay,
    TrainingCurvesDisplay,
)
from skkd.displays._style import shorten, shorten_all
from skkd.report import compare

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.text import Text

SIZES = [(3.5, 2.6), (8, 6)]
FEW = ["clean", "littered road after heavy rain"]
MANY = [
    f"{place} {thing}"
    for place in ("american football", "basketball", "billiard", "ice hockey", "golf")
    for thing in ("ball", "player", "court indoors", "x", "field", "trophy of 2019")
]


@pytest.fixture(autouse=True)
def _no_figure_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def fitted(iris):
    """A teacher, a plain and a distilled student, the latter two with validation."""
    X, y = iris
    teacher = LogisticRegression(max_iter=500).fit(X, y)
    settings = {"max_epochs": 3, "train_split": ValidSplit(5), "random_state": 0}
    plain = DistilledClassifier(**settings)
    distilled = DistilledClassifier(teacher=teacher, **settings)
    return {
        "teacher": teacher,
        "plain": plain.fit(X, y),
        "distilled": make_pipeline(StandardScaler(), distilled).fit(X, y),
    }


# What is drawn ----------------------------------------------------------------


def texts_of(figure):
    """Return (text, box) of everything written in a figure."""
    found = []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if not ax.axison:
                continue
            low, high = sorted(axis.get_view_interval())
            labels = [
                (tick.label1, place)
                for major in (True, False)
                for tick, place in zip(
                    axis.get_major_ticks() if major else axis.get_minor_ticks(),
                    axis.get_majorticklocs() if major else axis.get_minorticklocs(),
                    strict=True,
                )
            ]
            labels += [
                (tick.label2, p)
                for tick, p in zip(
                    axis.get_major_ticks(), axis.get_majorticklocs(), strict=True
                )
            ]
            found += [one for one, place in labels if low <= place <= high]
            found += [axis.label, axis.offsetText]
        found += [ax.title, *ax.texts]
        legend = ax.get_legend()
        if legend is not None:
            found += [*legend.get_texts(), legend.get_title()]
    return [
        (one.get_text(), Text.get_window_extent(one))  # of an annotation, not its line
        for one in found
        if one.get_visible() and one.get_text()
    ]


def check_legible(figure):
    """Assert that no text meets another or leaves the figure."""
    figure.draw_without_rendering()
    texts = texts_of(figure)
    assert texts
    boxes = np.array([box.extents for _, box in texts])
    shared = np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    shared -= np.maximum(boxes[:, None, :2], boxes[:, :2])
    meeting = np.triu(shared.min(axis=2) >= 0.5, k=1)
    pairs = [(texts[i][0], texts[j][0]) for i, j in np.argwhere(meeting)]
    assert not pairs, f"{len(pairs)} texts meet another: {pairs[:5]}"
    for text, box in texts:
        inside = box.x0 >= -1 and box.y0 >= -1
        inside &= box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert inside, f"{text!r} leaves the figure: {box}"
    return [text for text, _ in texts]


def draw_pareto(names, ax):
    rng = np.random.default_rng(len(names))
    cost = np.exp(rng.uniform(9, 17, size=len(names)))
    accuracy = np.minimum(0.6 + 0.02 * np.log(cost), 0.97) + rng.normal(
        scale=0.03, size=len(names)
    )
    error = np.full(len(names), 0.01)
    return ParetoDisplay(cost, accuracy, names=names, error=error).plot(ax)


def draw_grid(names, ax):
    n = 3 if len(names) < 5 else 10
    temperature, alpha = np.meshgrid(np.geomspace(1, 16, n), np.linspace(0, 1, n))
    score = 0.9 + 0.03 * np.sin(np.log(temperature) + 3 * alpha)
    rows = (values.ravel() for values in (temperature, alpha, score))
    return TemperatureAlphaDisplay(*rows, score_name="mean balanced accuracy").plot(ax)


def draw_points(names, ax):
    rng = np.random.default_rng(0)
    temperature, alpha = np.exp(rng.uniform(0, 2.8, size=60)), rng.random(60)
    alpha[0] = 0
    return TemperatureAlphaDisplay(
        temperature, alpha, -alpha * np.log(temperature), greater_is_better=False
    ).plot(ax)


def draw_curves(names, ax):
    curves = {
        name: {"valid_loss": np.exp(-np.arange(20) / (5 + i))}
        for i, name in enumerate(names)
    }
    return TrainingCurvesDisplay(curves).plot(ax)


def draw_two_keys(names, ax):
    curves = {
        name: {"train_loss": np.exp(-np.arange(20) / (5 + i)), "valid_loss": [0.5] * 20}
        for i, name in enumerate(names)
    }
    return TrainingCurvesDisplay(curves, comparable=False).plot(ax)


def draw_soft(names, ax):
    logits = np.random.default_rng(0).normal(size=len(names)) * 3
    image = np.zeros((3, 8, 8), np.uint8)
    return SoftLabelsDisplay.from_predictions(
        logits, classes=names, label=names[0], image=image, ax=ax
    )


def draw_all_soft(names, ax):
    logits = np.random.default_rng(0).normal(size=len(names)) * 3
    return SoftLabelsDisplay.from_predictions(logits, classes=names, top=30, ax=ax)


def draw_reliability(names, ax):
    rng = np.random.default_rng(0)
    y = rng.integers(len(names), size=400)
    proba = {
        f"{name}, {i}": rng.dirichlet(np.full(len(names), 0.2), size=400)
        for i, name in enumerate(names)
    }
    return ReliabilityDisplay.from_predictions(y, proba, ax=ax)


def draw_difference(names, ax, normalize=None):
    rng = np.random.default_rng(0)
    y, first, second = rng.integers(len(names), size=(3, 900))
    return ConfusionDifferenceDisplay.from_predictions(
        y,
        {"distilled student": np.where(rng.random(900) < 0.8, y, first), "b": second},
        display_labels=names,
        normalize=normalize,
        ax=ax,
    )


def draw_shares(names, ax):
    return draw_difference(names, ax, "true")


DRAWN = [
    draw_pareto,
    draw_grid,
    draw_points,
    draw_curves,
    draw_two_keys,
    draw_soft,
    draw_all_soft,
    draw_reliability,
    draw_difference,
    draw_shares,
]


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
@pytest.mark.parametrize("names", [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__[5:])
def test_no_text_meets_another(draw, names, size):
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    display = draw(names, ax)
    assert display.ax_ is ax and display.figure_ is figure
    check_legible(figure)


def test_the_check_of_overlaps_can_fail():
    figure, ax = plt.subplots(figsize=(2, 2))
    ax.set_xticks(range(30), MANY)
    with pytest.raises(AssertionError, match=r"texts meet"):
        check_legible(figure)


@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__[5:])
def test_axes_may_come_from_anywhere(draw):
    """Axes of a subfigure, axes without a grid, and none at all."""
    figure = plt.figure(figsize=(8, 4), layout="constrained")
    left, _ = figure.subfigures(1, 2)
    display = draw(FEW, left.subplots())
    assert display.figure_ is left
    check_legible(figure)
    free = plt.figure().add_axes((0.3, 0.3, 0.5, 0.6))
    assert draw(FEW, free).ax_ is free
    before = plt.get_fignums()
    assert draw(FEW, None).figure_.number not in before


@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__[5:])
def test_without_matplotlib_the_error_names_what_to_install(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"Display.plot needs .*install matplotlib"):
        draw(FEW, None)


def test_importing_the_displays_does_not_import_matplotlib():
    for path in Path(skkd.displays.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assert "matplotlib" not in ast.unparse(node), path.name


def test_long_names_keep_both_ends():
    assert shorten("short", 8) == "short"
    assert shorten("a very long name", 9) == "a ve…name"
    assert len(shorten("a very long name", 10)) == 10
    brief = shorten_all(["long middle one end", "long centre two end"], 9)
    assert len(set(brief)) == 2


# Pareto -----------------------------------------------------------------------


def test_front_is_what_brute_force_finds():
    rng = np.random.default_rng(0)
    cost, accuracy = rng.integers(1, 8, size=40), rng.integers(0, 8, size=40) / 10
    display = ParetoDisplay(cost, accuracy, names=[""] * 40)
    for i in range(40):
        beaten = any(
            cost[j] <= cost[i]
            and accuracy[j] >= accuracy[i]
            and (cost[j], accuracy[j]) != (cost[i], accuracy[i])
            for j in range(40)
        )
        assert display.on_front[i] == (not beaten)


def test_pareto_marks_dominated_models_apart():
    display = ParetoDisplay.from_results(
        {"large": (1e6, 0.9), "small": (1e4, 0.8), "worse": (1e5, 0.7)}
    )
    assert display.line_.get_xydata().tolist() == [[1e4, 0.8], [1e6, 0.9]]
    front, others = display.ax_.lines[1:3]
    assert len(front.get_xdata()) == 2 and len(others.get_xdata()) == 1
    assert others.get_markerfacecolor() == "white"
    assert display.ax_.get_xscale() == "log"
    assert [text.get_text() for text in display.text_] == ["large", "small", "worse"]


def test_pareto_falls_back_to_a_key():
    _, ax = plt.subplots(figsize=(3.5, 2.6), layout="constrained")
    display = draw_pareto(MANY, ax)
    order = np.argsort(display.cost)
    lines = [text.get_text() for text in display.legend_.get_texts()]
    for number, i in enumerate(order, start=1):
        assert display.text_[i].get_text() == str(number)
        assert lines[number - 1] == f"{number}  {shorten(MANY[i], 20)}"


def test_pareto_of_estimators(iris, fitted):
    X, y = iris
    networks = {name: fitted[name] for name in ("plain", "distilled")}
    display = ParetoDisplay.from_estimators(networks, X, y)
    assert display.accuracy.tolist() == [n.score(X, y) for n in networks.values()]
    counts = [
        sum(p.numel() for p in net.module_.parameters())
        for net in (fitted["plain"], fitted["distilled"][-1])
    ]
    assert display.cost.tolist() == counts
    hit = display.accuracy
    np.testing.assert_allclose(display.error, np.sqrt(hit * (1 - hit) / 150), rtol=0.01)
    sizes = ParetoDisplay.from_estimators(fitted, X, y, cost="bytes").cost
    assert sizes[1] > 4 * counts[0]  # of float32


def test_pareto_shows_latency_in_milliseconds(iris, fitted):
    X, y = iris
    result = compare({"plain": fitted["plain"]}, X, y, batch_size=1)
    display = ParetoDisplay.from_results(result, cost="latency")
    seconds = result.measures["plain"]["latency"]
    assert display.cost.tolist() == [seconds]
    assert display.ax_.get_xlabel() == "latency of one row, ms"
    assert display.line_.get_xdata()[0] == pytest.approx(1000 * seconds)


def test_pareto_of_a_comparison(iris, fitted):
    X, y = iris
    result = compare(fitted, X, y, timing=False)
    for results in (result, result.measures):
        display = ParetoDisplay.from_results(results, cost="bytes", score="log_loss")
        for i, name in enumerate(fitted):
            measures = result.measures[name]
            assert display.cost[i] == measures["bytes"]
            assert display.accuracy[i] == measures["log_loss"]


@pytest.mark.parametrize(
    ("results", "error", "message"),
    [
        ([(1, 0.5)], TypeError, "mapping of names"),
        ({}, ValueError, "results is empty"),
        ({"a": (1,)}, ValueError, "expected .cost, accuracy"),
        ({"a": 3}, ValueError, "expected .cost, accuracy"),
        ({"a": (0, 0.5)}, ValueError, "a has parameters 0.0"),
        ({"a": (1, np.nan)}, ValueError, "accuracy nan"),
    ],
)
def test_pareto_refuses(results, error, message):
    with pytest.raises(error, match=message):
        ParetoDisplay.from_results(results)


def test_pareto_refuses_lengths_and_costs(iris, fitted):
    X, y = iris
    with pytest.raises(ValueError, match=r"cost: 2, accuracy: 1, names: 1"):
        ParetoDisplay([1, 2], [0.5], names=["a"]).plot()
    with pytest.raises(ValueError, match=r"teacher has no parameters, only .*bytes"):
        ParetoDisplay.from_estimators(fitted, X, y)
    with pytest.raises(ValueError, match=r"X: 150, y: 149"):
        ParetoDisplay.from_estimators(fitted, X, y[1:])


# Temperature and alpha --------------------------------------------------------


@pytest.fixture(scope="module")
def search(iris):
    X, y = iris
    teacher = LogisticRegression(max_iter=500).fit(X, y)
    student = DistilledClassifier(teacher=teacher, max_epochs=1, random_state=0)
    grid = [
        {"distilledclassifier__alpha": [0.0]},
        {
            "distilledclassifier__temperature": [1, 4],
            "distilledclassifier__alpha": [0.5, 1.0],
            "distilledclassifier__lr": [1e-3, 1e-2],
        },
    ]
    pipeline = make_pipeline(StandardScaler(), student)
    return GridSearchCV(pipeline, grid, cv=2, refit=False).fit(X, y)


def test_heat_map_holds_the_best_over_the_rest(search):
    display = TemperatureAlphaDisplay.from_search(search)
    results = search.cv_results_
    cells = np.asarray(display.im_.get_array())
    assert cells.shape == (3, 2)
    assert display.baseline == results["mean_test_score"][0]
    np.testing.assert_array_equal(cells[0], display.baseline)
    for i, alpha in enumerate([0.5, 1.0], start=1):
        for j, temperature in enumerate([1, 4]):
            fitting = [
                score
                for params, score in zip(
                    results["params"], results["mean_test_score"], strict=True
                )
                if params.get("distilledclassifier__temperature") == temperature
                and params["distilledclassifier__alpha"] == alpha
            ]
            assert len(fitting) == 2
            assert cells[i, j] == max(fitting)
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == ["0", "0.5", "1"]
    assert [text.get_text() for text in display.text_][-1].startswith("without teacher")
    assert display.colorbar_.ax.get_ylabel().startswith("mean accuracy")


def test_missing_cells_are_blank_and_the_best_is_framed():
    display = TemperatureAlphaDisplay(
        [1, 4, 1, 4], [0.5, 0.5, 0.9, 0.9], [0.8, 0.9, np.nan, 0.7]
    ).plot()
    cells = np.ma.filled(display.im_.get_array(), np.nan)
    np.testing.assert_array_equal(cells, [[0.8, 0.9], [np.nan, 0.7]])
    assert [text.get_text() for text in display.text_] == ["0.80", "0.90", "0.70"]
    frame = display.ax_.patches[-1]
    assert (frame.get_x() + 0.44, frame.get_y() + 0.44) == (1, 0)
    assert display.baseline is None


def test_smaller_may_be_better():
    display = TemperatureAlphaDisplay(
        [1, 1, 4], [0.5, 0.5, 0.5], [0.8, 0.6, 0.7], greater_is_better=False
    ).plot()
    cells = np.asarray(display.im_.get_array())
    np.testing.assert_array_equal(cells, [[0.6, 0.7]])
    assert display.ax_.patches[-1].get_x() + 0.44 == 0


def test_random_search_becomes_points(iris):
    from scipy.stats import uniform

    X, y = iris
    student = DistilledClassifier(
        teacher=LogisticRegression(max_iter=500).fit(X, y), max_epochs=1
    )
    space = {"temperature": uniform(1, 8), "alpha": uniform(0.1, 0.8)}
    found = RandomizedSearchCV(
        student,
        space,
        n_iter=5,
        cv=2,
        random_state=0,
        refit=False,
        scoring=["accuracy", "neg_log_loss"],
    ).fit(X, y)
    display = TemperatureAlphaDisplay.from_search(found, metric="neg_log_loss")
    points = display.im_.get_offsets()
    chosen = [(p["temperature"], p["alpha"]) for p in found.cv_results_["params"]]
    np.testing.assert_allclose(points, chosen)
    scores = found.cv_results_["mean_test_neg_log_loss"]
    np.testing.assert_array_equal(display.im_.get_array(), scores)
    with pytest.raises(ValueError, match=r"metric='f1': the search scored"):
        TemperatureAlphaDisplay.from_search(found, metric="f1")


def test_study_shows_its_completed_trials():
    study = optuna.create_study(direction="minimize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={"temperature": t, "alpha": a},
                distributions={
                    "temperature": optuna.distributions.FloatDistribution(1, 16),
                    "alpha": optuna.distributions.FloatDistribution(0, 1),
                },
                value=value,
                state=state,
            )
            for t, a, value, state in [
                (1.0, 0.5, 0.3, optuna.trial.TrialState.COMPLETE),
                (2.0, 0.7, 0.2, optuna.trial.TrialState.COMPLETE),
                (2.5, 0.9, None, optuna.trial.TrialState.FAIL),
            ]
        ]
    )
    display = TemperatureAlphaDisplay.from_study(study)
    assert display.temperature.tolist() == [1.0, 2.0]
    assert display.score.tolist() == [0.3, 0.2] and not display.greater_is_better
    with pytest.raises(ValueError, match=r"no completed trial among its 0"):
        TemperatureAlphaDisplay.from_study(optuna.create_study())
    two = optuna.create_study(directions=["minimize", "maximize"])
    with pytest.raises(ValueError, match=r"2 objectives"):
        TemperatureAlphaDisplay.from_study(two)


def test_search_refuses(search, iris):
    with pytest.raises(NotFittedError):
        TemperatureAlphaDisplay.from_search(GridSearchCV(search.estimator, {}))
    with pytest.raises(TypeError, match=r"Pipeline; expected a fitted Grid"):
        TemperatureAlphaDisplay.from_search(search.estimator)
    with pytest.raises(ValueError, match=r"alpha='beta' is none of the parameters"):
        TemperatureAlphaDisplay.from_search(search, alpha="beta")
    with pytest.raises(ValueError, match=r"kind='bars'"):
        TemperatureAlphaDisplay([1], [0.5], [0.9]).plot(kind="bars")
    with pytest.raises(ValueError, match=r"expected \(n_settings,\) each"):
        TemperatureAlphaDisplay([1, 2], [0.5], [0.9]).plot()
    with pytest.raises(ValueError, match=r"every fit failed"):
        TemperatureAlphaDisplay([1], [0.5], [np.nan]).plot()
    with pytest.raises(ValueError, match=r"alpha is from 2"):
        TemperatureAlphaDisplay([1], [2], [0.9]).plot()
    X, y = iris
    other = GridSearchCV(LogisticRegression(max_iter=500), {"C": [1]}, cv=2).fit(X, y)
    with pytest.raises(ValueError, match=r"temperature: none of the parameters"):
        TemperatureAlphaDisplay.from_search(other)


# Training curves --------------------------------------------------------------


def test_curves_are_the_history(fitted):
    students = {name: fitted[name] for name in ("plain", "distilled")}
    display = TrainingCurvesDisplay.from_estimators(students)
    recorded = fitted["distilled"][-1].history[:, "valid_loss"]
    assert display.lines_[1].get_ydata().tolist() == recorded
    assert display.lines_[1].get_xdata().tolist() == [1, 2, 3]
    assert display.ax_.get_ylabel() == "valid loss"
    styles = {(one.get_marker(), one.get_linestyle()) for one in display.lines_}
    assert len(styles) == 2


def test_curves_say_that_train_losses_do_not_compare(iris, fitted):
    X, y = iris
    plain = DistilledClassifier(max_epochs=2).fit(X, y)
    other = DistilledClassifier(max_epochs=2, lr=0.1).fit(X, y)
    students = {"plain": plain, "distilled": fitted["distilled"]}
    display = TrainingCurvesDisplay.from_estimators(students)
    assert display.ax_.get_ylabel() == "train loss"  # one has recorded no other
    assert "not comparable" in display.ax_.get_legend().get_title().get_text()
    alike = TrainingCurvesDisplay.from_estimators({"plain": plain, "other": other})
    assert alike.comparable and not alike.ax_.get_legend().get_title().get_text()
    smooth = DistilledClassifier(max_epochs=2, distillation="label_smoothing")
    taught = {"teacher": fitted["plain"], "max_epochs": 2, "distillation": "dkd"}
    one, two = (
        DistilledClassifier(**taught, distillation__beta=beta).fit(X, y)
        for beta in (1.0, 8.0)
    )
    for students in ({"a": plain, "b": smooth.fit(X, y)}, {"a": one, "b": two}):
        assert not TrainingCurvesDisplay.from_estimators(students).comparable


def test_curves_of_several_keys(fitted):
    display = TrainingCurvesDisplay.from_estimators(
        {"plain": fitted["plain"]}, key=["train_loss", "valid_acc"]
    )
    assert list(display.curves["plain"]) == ["train_loss", "valid_acc"]
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["plain", "train loss", "valid acc"]


def test_curves_refuse(fitted):
    with pytest.raises(
        TypeError, match=r"teacher is a LogisticRegression, which keeps"
    ):
        TrainingCurvesDisplay.from_estimators(fitted)
    with pytest.raises(ValueError, match=r"fresh .* has no history: it is not fitted"):
        TrainingCurvesDisplay.from_estimators({"fresh": DistilledClassifier()})
    with pytest.raises(ValueError, match=r"key='loss': plain recorded \['dur'"):
        TrainingCurvesDisplay.from_estimators({"plain": fitted["plain"]}, key="loss")


# Soft labels ------------------------------------------------------------------


def test_soft_labels_are_softened_probabilities(iris, fitted):
    X, _ = iris
    teacher = fitted["teacher"]
    display = SoftLabelsDisplay.from_estimator(teacher, X[70], temperatures=[1, 4])
    expected = teacher.predict_proba(X[70:71])[0]
    np.testing.assert_allclose(display.probabilities[0], expected, rtol=1e-4)
    powers = expected**0.25
    np.testing.assert_allclose(
        display.probabilities[1], powers / powers.sum(), rtol=1e-4
    )
    assert display.image_ax_ is None and len(display.axes_) == 2
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == [str(label) for label in np.argsort(-expected)]


def test_soft_labels_gather_the_rest():
    logits = np.arange(12.0)
    display = SoftLabelsDisplay.from_predictions(logits, top=4, temperatures=[2])
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == ["11", "10", "9", "8", "8 others"]
    widths = [bar.get_width() for bar in display.ax_.patches]
    shares = np.exp(logits / 2) / np.exp(logits / 2).sum()
    np.testing.assert_allclose(widths, [*shares[:7:-1], shares[:8].sum()])


@pytest.mark.parametrize("shape", [(3, 6, 5), (6, 5, 3), (6, 5), (1, 6, 5)])
def test_soft_labels_show_the_image(shape):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    display = SoftLabelsDisplay.from_predictions([1, 2], image=image)
    assert display.image.shape[:2] == (6, 5)
    assert display.image_ax_.images


def test_soft_labels_of_a_torch_module_and_its_image():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
    row = np.random.default_rng(0).random((3, 4, 4), dtype=np.float32)
    display = SoftLabelsDisplay.from_estimator(module, row, classes=list("abc"))
    with torch.no_grad():
        expected = torch.softmax(module(torch.tensor(row[None])), dim=1)
    np.testing.assert_allclose(display.probabilities[:1], expected, rtol=1e-4)
    np.testing.assert_array_equal(display.image, row.transpose(1, 2, 0))
    with pytest.raises(ValueError, match=r"does not know the classes"):
        SoftLabelsDisplay.from_estimator(module, row)


def test_soft_labels_of_a_file_show_it(tmp_path):
    from PIL import Image

    path = str(tmp_path / "red.png")
    Image.new("RGB", (5, 6), "red").save(path)

    def teacher(X):
        assert X.tolist() == [path]
        return np.array([[1.0, 2.0]])

    display = SoftLabelsDisplay.from_estimator(teacher, path, classes=["a", "b"])
    assert (
        display.image.shape == (6, 5, 3) and (display.image[0, 0] == [255, 0, 0]).all()
    )
    assert (
        SoftLabelsDisplay.from_estimator(
            teacher, path, classes=["a", "b"], image=False
        ).image
        is None
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperatures": [0]}, "expected numbers above 0"),
        ({"classes": ["a"]}, "classes has 1 labels, expected 2"),
        ({"label": "z"}, "label='z' is none of the classes"),
        ({"image": np.zeros(5)}, "image has shape"),
        ({"top": 0}, "top=0"),
    ],
)
def test_soft_labels_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        SoftLabelsDisplay.from_predictions([1.0, 2.0], **options)
    with pytest.raises(ValueError, match=r"logits has shape \(1, 2\)"):
        SoftLabelsDisplay.from_predictions([[1.0, 2.0]])


# Reliability ------------------------------------------------------------------


@pytest.mark.parametrize("n_bins", [1, 5, 10])
def test_reliability_is_scikit_learns(n_bins):
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=300)
    proba = rng.dirichlet(np.ones(4), size=300)
    proba[:3] = np.eye(4)[:3]  # on the edge of the last bin
    display = ReliabilityDisplay.from_predictions(y, {"a": proba}, n_bins=n_bins)
    curve = display.curves["a"]
    right, sure = proba.argmax(axis=1) == y, proba.max(axis=1)
    accuracy, confidence = calibration_curve(right, sure, n_bins=n_bins)
    np.testing.assert_allclose(curve.accuracy, accuracy)
    np.testing.assert_allclose(curve.confidence, confidence)
    assert curve.counts.sum() == 300 and len(curve.counts) == n_bins
    ece = sum(
        mask.mean() * abs(right[mask].mean() - sure[mask].mean())
        for low in np.arange(n_bins) / n_bins
        if (mask := (sure > low) & (sure <= low + 1 / n_bins)).any()
    )
    assert curve.ece == pytest.approx(ece)
    assert f"ECE {ece:.3f}" in display.lines_[0].get_label()


def test_reliability_of_one_class_is_scikit_learns(iris, fitted):
    X, y = iris
    display = ReliabilityDisplay.from_estimators(fitted, X, y, pos_label=1)
    for name, estimator in fitted.items():
        expected = calibration_curve(
            y == 1, estimator.predict_proba(X)[:, 1], n_bins=15
        )
        got = display.curves[name].accuracy, display.curves[name].confidence
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_reliability_leaves_empty_bins_out():
    proba = [[0.95, 0.05], [0.55, 0.45]]
    display = ReliabilityDisplay.from_predictions([0, 1], {"a": proba})
    assert len(display.lines_[0].get_xdata()) == 2
    assert (display.curves["a"].counts == 0).sum() == 13


def test_reliability_of_a_module_needs_classes(iris):
    X, y = iris
    X = X.astype(np.float32)
    module = torch.nn.Linear(4, 3)
    display = ReliabilityDisplay.from_estimators(
        {"net": module}, X, y, classes=[0, 1, 2]
    )
    with torch.no_grad():
        proba = torch.softmax(module(torch.tensor(X)), dim=1).numpy()
    assert display.curves["net"].ece == pytest.approx(
        ReliabilityDisplay.from_predictions(y, {"net": proba}).curves["net"].ece,
        rel=1e-4,
    )
    with pytest.raises(ValueError, match=r"net \(Linear\) does not know the classes"):
        ReliabilityDisplay.from_estimators({"net": module}, X, y)


def test_reliability_refuses(iris, fitted):
    X, y = iris
    with pytest.raises(TypeError, match=r"svm .LinearSVC. gives no probabilities"):
        svm = LinearSVC().fit(X, y)
        ReliabilityDisplay.from_estimators({"svm": svm}, X, y)
    with pytest.raises(TypeError, match=r"svms .list. gives no probabilities"):
        ReliabilityDisplay.from_estimators(
            {"svms": [svm, svm]}, X, y, classes=[0, 1, 2]
        )
    with pytest.raises(ValueError, match=r"X: 150, y: 149"):
        ReliabilityDisplay.from_estimators(fitted, X, y[1:])
    with pytest.raises(ValueError, match=r"call fit first"):
        ReliabilityDisplay.from_estimators({"a": LogisticRegression()}, X, y)
    with pytest.raises((ValueError, NotFittedError), match=r"fit"):
        ReliabilityDisplay.from_estimators({"a": DistilledClassifier()}, X, y)
    even = np.full((150, 3), 1 / 3)
    for options, message in (
        ({"n_bins": 0}, "n_bins=0"),
        ({"pos_label": "z"}, "pos_label='z' is none"),
        ({"classes": [0, 1]}, r"shape \(150, 3\), expected \(150, 2\)"),
        ({"classes": ["0", "1", "2"]}, "a knows none of the labels of y"),
    ):
        with pytest.raises(ValueError, match=message):
            ReliabilityDisplay.from_predictions(y, {"a": even}, **options)
    with pytest.raises(ValueError, match=r"Logits go through a softmax"):
        ReliabilityDisplay.from_predictions(y, {"a": 5 * even})


# Confusion difference ---------------------------------------------------------


@pytest.mark.parametrize("normalize", [None, "true"])
def test_difference_is_scikit_learns(normalize):
    rng = np.random.default_rng(0)
    y, one, other = rng.integers(4, size=(3, 200))
    display = ConfusionDifferenceDisplay.from_predictions(
        y, {"one": one, "other": other}, normalize=normalize
    )
    expected = confusion_matrix(y, one, normalize=normalize) - confusion_matrix(
        y, other, normalize=normalize
    )
    np.testing.assert_array_equal(display.difference, expected)
    low, high = display.im_.get_clim()
    assert low == -high  # white is 0
    scale = 100 if normalize else 1
    np.testing.assert_allclose(display.im_.get_array(), scale * expected)
    assert display.text_.shape == (4, 4)


def test_difference_of_estimators(iris, fitted):
    X, y = iris
    two = {name: fitted[name] for name in ("distilled", "plain")}
    display = ConfusionDifferenceDisplay.from_estimators(two, X, y)
    matrices = [confusion_matrix(y, one.predict(X)) for one in two.values()]
    np.testing.assert_array_equal(display.difference, matrices[0] - matrices[1])
    assert display.names == ("distilled", "plain")


def test_difference_marks_signs_where_values_do_not_fit():
    _, ax = plt.subplots(figsize=(3.5, 2.6), layout="constrained")
    display = draw_difference(MANY, ax)
    assert display.text_ is None
    strong = np.abs(display.difference) > 0.15 * np.abs(display.difference).max()
    for marks, sign in zip(ax.collections, (1, -1), strict=True):
        marked = {(row, column) for column, row in marks.get_offsets().tolist()}
        expected = np.argwhere(strong & (sign * display.difference > 0))
        assert marked == set(map(tuple, expected.tolist()))


def test_difference_refuses(iris, fitted):
    X, y = iris
    with pytest.raises(ValueError, match=r"3 entries .* expected two"):
        ConfusionDifferenceDisplay.from_estimators(fitted, X, y)
    two = {"a": [0, 1], "b": [0, 1]}
    for options, message in (
        ({"normalize": "pred"}, "normalize='pred'"),
        ({"display_labels": ["x"]}, "display_labels has 1 names, expected 2"),
    ):
        with pytest.raises(ValueError, match=message):
            ConfusionDifferenceDisplay.from_predictions([0, 1], two, **options)
    with pytest.raises(ValueError, match=r"y_true: 3, a: 2, b: 2"):
        ConfusionDifferenceDisplay.from_predictions([0, 1, 1], two)
    with pytest.raises(TypeError, match=r"a is a Linear without predict"):
        modules = {"a": torch.nn.Linear(4, 3), "b": fitted["plain"]}
        ConfusionDifferenceDisplay.from_estimators(modules, X, y)


def test_the_example_writes_six_pictures(tmp_path, monkeypatch, capsys):
    examples = Path(__file__).parents[1] / "examples"
    monkeypatch.syspath_prepend(str(examples))
    import plot_displays

    grid = {"temperature": [1, 4], "alpha": [0.5]}  # fewer fits than it makes
    monkeypatch.setattr(plot_displays, "GRID", grid)
    argv = ["plot_displays.py", str(tmp_path / "new"), "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", argv)
    plot_displays.main()
    written = capsys.readouterr().out.split()
    assert len(written) == 6
    for path in written:
        assert plt.imread(path).std() > 0.05  # not an empty sheet
