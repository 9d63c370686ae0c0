"""TemperatureAlphaDisplay: cells, points and their sources."""

import numpy as np
import optuna
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd import DistilledClassifier, DistilledClassifierCV
from skkd.displays import TemperatureAlphaDisplay


@pytest.fixture(scope="module")
def search(iris):
    X, y = iris
    teacher = LogisticRegression(max_iter=500).fit(StandardScaler().fit_transform(X), y)
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


def test_a_student_that_searched_by_itself(iris):
    X, y = iris
    teacher = LogisticRegression(max_iter=500)
    student = DistilledClassifierCV(
        teacher=teacher, teacher_cv=2, temperatures=(1, 4), alphas=(0, 0.5), cv=2
    )
    display = TemperatureAlphaDisplay.from_search(
        student.set_params(max_epochs=1).fit(X, y)
    )
    expected = student.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(display.score, expected)
    assert sorted(set(display.alpha)) == [0.0, 0.5]


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
