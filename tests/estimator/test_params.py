"""What set_params and copies do to a net that is built already."""

import copy
import runpy

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skkd import DistilledClassifier
from skkd.students import MLP, default_student

X, y = load_iris(return_X_y=True)


@pytest.fixture
def student():
    return DistilledClassifier(MLP, max_epochs=2, random_state=0).fit(X, y)


def test_setting_what_is_set_already_keeps_the_trained_student(student):
    student.set_params(module__hidden=(8,)).fit(X, y)
    before, module = student.predict_proba(X), student.module_
    student.set_params(**student.get_params(deep=False))
    assert student.module_ is module
    assert np.array_equal(student.predict_proba(X), before)


def test_another_module_parameter_builds_anew_from_random_state(student):
    state = torch.get_rng_state()
    student.set_params(module__hidden=(7,))
    assert torch.equal(torch.get_rng_state(), state)
    assert student.module_.body[1].out_features == 7
    fresh = DistilledClassifier(
        MLP, max_epochs=2, random_state=0, module__hidden=(7,), classes=[0, 1, 2]
    )
    assert np.array_equal(
        student.fit(X, y).predict_proba(X), fresh.fit(X, y).predict_proba(X)
    )


def test_loss_parameters_do_not_touch_the_student(student):
    before, seed = student.predict_proba(X), student.next_seed_
    student.set_params(temperature=2, alpha=1.0, distillation="mse", lr=0.5)
    assert np.array_equal(student.predict_proba(X), before)
    assert student.next_seed_ == seed


def test_copies_do_not_share_their_parameters(student):
    twin = copy.copy(student)
    twin.set_params(module__hidden=(3,), iterator_train__drop_last=True)
    assert "module__hidden" not in student.get_params()
    assert student.fit(X, y).module_.body[1].out_features == 128


@pytest.mark.parametrize("alpha", [0, 0.5])
@pytest.mark.parametrize(
    "logits, message",
    [(np.zeros((3, 3)), r"shape \(3, 3\)"), (np.full((150, 3), np.nan), "not finite")],
)
def test_logits_are_checked_whatever_alpha(alpha, logits, message):
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(alpha=alpha).fit(X, y, teacher_logits=logits)


def test_columns_of_a_frame_of_logits_go_by_name():
    names = np.array(["a", "b", "c"])[y]
    teacher = LogisticRegression(max_iter=500).fit(X, names)
    logits = pd.DataFrame(teacher.predict_log_proba(X), columns=teacher.classes_)
    student = DistilledClassifier(alpha=1, max_epochs=2, random_state=0)
    one = student.fit(X, names, teacher_logits=logits).predict_proba(X)
    two = student.fit(X, names, teacher_logits=logits[["c", "a", "b"]]).predict_proba(X)
    assert np.array_equal(one, two)


# Logits of zero stand in for a teacher that is not needed.
@pytest.mark.filterwarnings(r"ignore:\[constant-output\]:skkd.TeacherWarning")
def test_logits_in_place_of_an_unfitted_teacher_leave_it_unfitted():
    template = LogisticRegression()
    student = DistilledClassifier(teacher=template, teacher_cv=None, max_epochs=1)
    student.fit(X, y, teacher_logits=np.zeros((150, 3)))
    assert student.teacher_ is None
    assert not hasattr(template, "classes_")


def test_images_with_channels_last_are_refused():
    with pytest.raises(ValueError, match=r"transpose\(0, 3, 1, 2\)"):
        default_student((16, 16, 3))
    images = np.zeros((6, 16, 16, 3), np.uint8)
    with pytest.raises(ValueError, match=r"look like \(H, W, C\)"):
        DistilledClassifier().fit(images, [0, 1] * 3)


def test_another_optimizer_takes_effect_at_the_next_fit(student):
    before = student.predict_proba(X)
    student.set_params(optimizer=torch.optim.SGD)
    assert np.array_equal(student.predict_proba(X), before)
    assert isinstance(student.fit(X, y).optimizer_, torch.optim.SGD)


@pytest.mark.slow  # two workers import torch
def test_a_fitted_student_of_a_class_of_a_script_comes_back_from_a_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from sklearn.datasets import load_iris\n"
        "from sklearn.model_selection import cross_validate\n"
        "from skkd import DistilledClassifier\n"
        "from skkd.students import MLP\n"
        "class Mine(MLP):\n"
        "    pass\n"
        "if __name__ == '__main__':\n"
        "    X, y = load_iris(return_X_y=True)\n"
        "    net = DistilledClassifier(Mine, max_epochs=20, lr=0.01, device='cpu')\n"
        "    found = cross_validate(\n"
        "        net, X, y, cv=2, n_jobs=2, return_estimator=True\n"
        "    )\n"
    )
    found = runpy.run_path(str(script), run_name="__main__")["found"]
    for net in found["estimator"]:
        assert type(net.module_).__module__ == "__main__"
        assert net.score(X, y) > 0.8
