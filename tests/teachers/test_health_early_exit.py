"""A good teacher is told by its decisions alone; warnings point at the user's line."""

import warnings

import numpy as np
import pytest
from health_cases import X, noise, student, y
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from skkd._utils.warn import warn
from skkd.teachers import as_teacher, check_health
from skkd.teachers.health import _findings
from skkd.teachers.health._labels import compare_with_labels


@st.composite
def decided(draw):
    """Decisions of which at least three of four are right in each class."""
    k = draw(st.integers(2, 6))
    present = draw(st.lists(st.integers(0, k - 1), min_size=2, max_size=k, unique=True))
    counts = [draw(st.integers(1, 60)) for _ in present]
    if sum(counts) < 30:
        counts[0] += 30 - sum(counts)
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    y_encoded = np.repeat(present, counts)
    decisions = y_encoded.copy()
    for c, n in zip(present, counts, strict=True):
        wrong = draw(st.integers(0, n // 4))
        rows = np.flatnonzero(y_encoded == c)
        # Those of one half alone, or any.
        rows = rows[::2] if draw(st.booleans()) else rng.permutation(rows)
        other = draw(st.integers(1, k - 1))
        decisions[rows[:wrong]] = (c + other) % k
    shuffled = rng.permutation(len(y_encoded))
    # Ranks within a column may be as bad as they can be.
    logits = rng.randn(len(y_encoded), k) * draw(st.sampled_from([0.01, 1.0, 5.0]))
    best = logits.max(axis=1) + 0.01
    logits[np.arange(len(logits)), decisions] = best
    return logits[shuffled], y_encoded[shuffled]


@settings(max_examples=300, deadline=None)
@given(decided())
def test_no_finding_about_labels_is_lost_by_the_early_exit(case):
    logits, y_encoded = case
    assert _findings._is_right(logits, y_encoded)
    classes = np.arange(logits.shape[1])
    teacher = as_teacher(nn.Linear(4, 50))  # its head is a random one
    assert [*compare_with_labels(logits, y_encoded, teacher, classes)] == []


def test_the_early_exit_is_taken_by_a_good_teacher_only(monkeypatch):
    calls = []
    monkeypatch.setattr(
        _findings, "compare_with_labels", lambda *_: calls.append(1) or []
    )
    check_health(LogisticRegression(max_iter=500).fit(X, y), X, y)
    assert not calls
    check_health(noise, X, y)
    assert calls


def lines_of(caught):
    return {(w.filename, w.lineno) for w in caught}


def here(offset):
    import inspect

    frame = inspect.currentframe().f_back
    return {(__file__, frame.f_lineno + offset)}


@pytest.mark.parametrize("n_jobs", [None, 1])
def test_findings_point_at_the_line_of_the_user(n_jobs):
    pipe = make_pipeline(FunctionTransformer(), student(noise))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_health(noise, X, y)
        check_line = here(-1)
        student(noise).fit(X, y)
        fit_line = here(-1)
        pipe.fit(X, y)
        pipe_line = here(-1)
        cross_val_score(pipe, X, y, cv=2, n_jobs=n_jobs)
        cv_line = here(-1)
    assert len(caught) == 5
    assert lines_of(caught) == check_line | fit_line | pipe_line | cv_line


def test_a_warning_is_one_of_the_callers_and_obeys_its_filters():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(2):
            warn("Once for each line.", UserWarning)
    assert len(caught) == 1
    assert caught[0].filename == __file__
