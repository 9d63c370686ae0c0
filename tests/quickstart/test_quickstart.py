"""What is finished is kept, and the teacher never sees what it is judged on."""

import io
import json
import re
import time

import numpy as np
import pytest
import torch

pytest.importorskip("safetensors")

from image_folders import write_squares

from skkd.quickstart import Progress, distill_folder
from skkd.quickstart._images import UNLABELED, read_digits, read_folder
from skkd.quickstart._networks import enough_epochs, student_of
from skkd.quickstart._threads import choose_threads, using_threads
from skkd.quickstart._training import Training


def test_the_digits_have_few_labels_and_a_teacher_trained_on_others(tmp_path):
    images = read_digits(tmp_path / "digits")
    sets = [{*rows.paths} for rows in (images.teacher, images.student, images.test)]
    assert sum(map(len, sets)) == len(set.union(*sets)) == 1797
    assert (images.student.y != UNLABELED).sum() == 84  # of 1347 that are no test
    assert len(list(tmp_path.glob("digits/digit_*/*.png"))) == 1797


def test_teachers_of_a_search_never_see_the_rows_that_are_scored(
    photos, tmp_path, monkeypatch
):
    seen, scored = [], []
    fit_teacher, distill = Training._fit_teacher, Training.distill

    def fit(self, rows=None, before=""):
        seen.append(self.X if rows is None else self.X[rows])
        return fit_teacher(self, rows, before)

    def distill_with(self, teacher, params, rows=None, before=""):
        if rows is not None:
            scored.append(np.delete(self.X, rows, axis=0))
        return distill(self, teacher, params, rows, before)

    monkeypatch.setattr(Training, "_fit_teacher", fit)
    monkeypatch.setattr(Training, "distill", distill_with)
    distill_folder(photos, tmp_path / "out", size=8, epochs=1, search=True)
    assert len(seen) == 4 and len(scored) == 15
    for fold in range(3):
        known = {image.tobytes() for image in seen[1 + fold]}
        for held_out in scored[5 * fold : 5 * fold + 5]:
            assert len(held_out) and not known & {image.tobytes() for image in held_out}
    lines = (tmp_path / "out" / ".skkd" / "search.jsonl").read_text().split("\n")
    assert len([json.loads(line) for line in lines if line]) == 15


def test_few_images_have_as_many_steps_as_they_need():
    # Batches of 16, from 1,000 images on of 64.
    found = [enough_epochs(n) for n in (9, 175, 999, 1000, 1195, 3200, 50_000)]
    assert found == [1000, 91, 20, 63, 53, 20, 20]


def test_a_small_cnn_of_any_width():
    for name, width in {"SmallCNN": 16, "SmallCNN:4": 4, "SmallCNN:9": 9}.items():
        assert student_of(name).build(3, (3, 8, 8)).config["width"] == width
    for name in ("SmallCNN:", "SmallCNN:x", "SmallCNN:-4", "smallcnn"):
        with pytest.raises(ValueError, match=f"{name}.*SmallCNN:4"):
            student_of(name)


def test_a_file_is_a_teacher_with_a_size_of_its_own(photos, tmp_path):
    first = tmp_path / "first"
    distill_folder(photos, first, size=12, epochs=2)
    teacher = first / "teacher.safetensors"
    before = teacher.read_bytes()
    outcome = distill_folder(
        photos, tmp_path / "second", teacher=teacher, size=8, epochs=2
    )
    assert outcome.caveat.startswith("Holds only if the teacher was not fitted on")
    assert outcome.measures["teacher"]["accuracy"] == 1
    assert teacher.read_bytes() == before


def test_a_teacher_of_other_classes_is_refused_before_training(photos, tmp_path):
    first = tmp_path / "first"
    distill_folder(photos, first, size=8, epochs=1)
    levels = {"ant": 200, "bee": 120, "fly": 20}
    others = write_squares(tmp_path / "others", n=6, levels=levels)
    with pytest.raises(ValueError, match="class"):
        distill_folder(
            others, tmp_path / "second", teacher=first / "teacher.safetensors", size=8
        )
    assert not (tmp_path / "second").exists()


def test_unreadable_images_are_left_out_if_asked(photos, tmp_path):
    (photos / "dark" / "broken.png").write_text("nothing")
    with pytest.raises(OSError, match=re.escape("broken.png")):
        read_folder(photos, None, search=False)
    with pytest.warns(UserWarning, match=re.escape("broken.png")):
        images = read_folder(photos, None, search=False, on_error="skip")
    assert len(images.student) + len(images.test) == 32


def test_progress_is_never_silent_for_two_seconds():
    class Stamped(io.StringIO):
        times = []

        def write(self, text):
            self.times.append(time.monotonic())
            return super().write(text)

    stream = Stamped()
    with Progress(stream) as progress:
        progress.step("teacher", "epoch 1 of 2")
        time.sleep(3.6)
        progress.step("writing")
    assert max(np.diff(stream.times)) < 2
    lines = stream.getvalue().splitlines()
    assert lines[0] == "teacher, epoch 1 of 2"
    assert re.fullmatch(r"teacher, epoch 1 of 2, \d s", lines[1])
    assert lines[-1] == "writing"


def test_threads_are_chosen_by_trying_and_put_back():
    before = torch.get_num_threads()
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    with using_threads(2):
        assert choose_threads(module, torch.zeros(4, 3, 2, 2), 2) in (1, 2)
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before
