"""Teachers that do not take a column: the error names the teacher and the column."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skkd import DistilledClassifier
from skkd.tables import TablePreprocessor

N = 90
NUMBERS = np.random.default_rng(0).normal(size=N)
Y = np.where(np.arange(N) % 5 == 0, "no", np.where(NUMBERS > 0, "yes", "no"))
X = pd.DataFrame({"number": NUMBERS})
TEXT = np.where(NUMBERS > 1, "high", "low")
DATES = pd.date_range("2026-01-01", periods=N)

ODD = {
    "text in 'odd'": TEXT,
    "categories in 'odd'": pd.Categorical(TEXT),
    "dates in 'odd'": DATES,
    "nothing but gaps in 'odd'": pd.Series([None] * N, dtype=object),
}


def student(teacher, cv=3):
    params = {"teacher": teacher, "teacher_cv": cv, "device": "cpu"}
    return DistilledClassifier(**params, preprocessor="auto", max_epochs=1)


@pytest.mark.parametrize("words", ODD)
@pytest.mark.parametrize("cv", [None, 3])
def test_a_column_that_a_teacher_cannot_be_fitted_on_is_named(words, cv):
    table = X.assign(odd=ODD[words])
    teacher = LogisticRegression()
    with pytest.raises(ValueError, match=f"teacher LogisticRegress.*{words}") as told:
        student(teacher, cv).fit(table, Y)
    assert "\n" not in str(told.value)
    assert "number'" not in str(told.value)
    encoded = make_pipeline(TablePreprocessor(), teacher)  # as the error says
    assert student(encoded, cv).fit(table, Y).predict(table).shape == (N,)


def test_text_where_a_teacher_takes_categories():
    teacher = HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_iter=3
    )
    table = X.assign(odd=TEXT)
    with pytest.raises(ValueError, match=r"text in 'odd'.*astype.*category"):
        student(teacher).fit(table, Y)
    student(teacher).fit(table.astype({"odd": "category"}), Y)


def test_gaps_where_a_teacher_takes_none():
    table = X.assign(odd=np.where(NUMBERS > 1, np.nan, 1.0))
    with pytest.raises(ValueError, match=r"gaps in 'odd'.*NaN"):
        student(LogisticRegression()).fit(table, Y)
    student(RandomForestClassifier(3)).fit(table, Y)


def test_many_columns_are_not_all_listed():
    table = X.assign(**{f"c{i}": TEXT for i in range(9)}, day=DATES)
    words = r"text in 'c0', 'c1', 'c2', 'c3', 'c4', \.\.\.; dates in 'day'"
    with pytest.raises(ValueError, match=words):
        student(LogisticRegression()).fit(table, Y)
    array = table.to_numpy(dtype=object)
    with pytest.raises(ValueError, match=r"text in 1, 2, 3, 4, 5, \.\.\.; dates in 10"):
        student(LogisticRegression()).fit(array, Y)


def test_an_error_of_the_teacher_itself_stays_as_it_is():
    table = X.assign(other=1.0)
    with pytest.raises(ValueError, match="'C' parameter") as told:
        student(LogisticRegression(C=-1)).fit(table, Y)
    assert not str(told.value).startswith("The teacher")
