"""What has to be the same on all machines of a study."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold
from study_cases import SPACE, X, Y, student, study

from skkd.search import OtherMachineError, _agreement


@pytest.fixture
def begun(tmp_path):
    """Begin a study; return a function that opens it with other parameters."""

    def begin(**params):
        params = {"storage": tmp_path / "s.log", "cv": 2, **params}
        study(**params).open()
        return lambda **others: study(**{**params, **others}).open()

    return begin


def test_the_same_definition_is_the_same_study(begun, tmp_path):
    again = begun()
    again()
    # Neither what is searched nor what differs between machines counts.
    again(estimator=student(lr=0.5, device="cpu", verbose=0))
    again(space={**SPACE, "batch_size": SPACE["alpha"]})


@pytest.mark.parametrize(
    ("others", "says"),
    [
        (
            {"estimator": student(max_epochs=3)},
            "begun with max_epochs 2; here .*_epochs 3",
        ),
        ({"cv": 3}, "begun with cv 2; here it has cv 3"),
        ({"cv": StratifiedKFold(2, shuffle=True)}, "begun with cv 2; .*shuffle=True"),
        ({"monitor": "valid_loss"}, "begun with monitor 'valid_acc', direction 'max"),
        ({"estimator": student(teacher=None)}, "begun with teacher LogisticReg"),
        ({"estimator": student(module__hidden=3)}, "here it has module__hidden 3"),
        ({"data": (X[::-1], Y[::-1])}, "X, y or groups differ"),
        ({"data": (X.astype("float32"), Y)}, "X, y or groups differ"),
        ({"data": (X, Y, np.arange(150))}, "X, y or groups differ"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_definition_is_refused(begun, others, says):
    with pytest.raises(OtherMachineError, match=says):
        begun()(**others)


def test_a_teacher_that_was_fitted_otherwise_is_refused(begun):
    from sklearn.ensemble import RandomForestClassifier

    teachers = [RandomForestClassifier(3, random_state=i).fit(X, Y) for i in (0, 1)]
    again = begun(estimator=student(teacher=teachers[0]))
    with pytest.raises(OtherMachineError, match="fit it once, and read it from a file"):
        again(estimator=student(teacher=teachers[1]))


def test_other_versions_are_refused_or_recorded(begun, tmp_path, monkeypatch):
    again = begun()
    here = _agreement.versions()
    assert here.keys() >= {"python", "skkd", "torch", "scikit-learn", "numpy"}
    other = {**here, "torch": "1.0"}
    monkeypatch.setattr(_agreement, "versions", lambda: other)
    says = f"This machine has torch 1.0; the study was begun with torch {here['torch']}"
    with pytest.raises(OtherMachineError, match=says):
        again()
    found = study(storage=tmp_path / "s.log", cv=2)
    found.optimize(1, allow_other_versions=True, refit=False)
    assert found.study_.trials[0].user_attrs["versions"] == {"torch": "1.0"}


def test_another_memory_folder_is_refused(begun, tmp_path):
    shared, other = tmp_path / "shared", tmp_path / "other"
    again = begun(estimator=student(memory=str(shared)))
    again()
    with pytest.raises(OtherMachineError, match="is not the folder that the other"):
        again(estimator=student(memory=str(other)))
    (mark,) = (shared / "skkd-studies").iterdir()
    (other / "skkd-studies").mkdir(parents=True)
    (other / "skkd-studies" / mark.name).touch()  # as the message says
    again(estimator=student(memory=str(other)))


def test_a_memory_folder_that_cannot_be_made_is_named(begun, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/cache': nothing can be written there"):
        begun(estimator=student(memory=str(tmp_path / "file" / "cache")))
