"""`skkd fit` on a folder, and the commands that take what it wrote."""

import csv
import io
import json
import re
import shutil
import signal

import numpy as np
import pytest

pytest.importorskip("safetensors")

from skkd import load_student, save_student

BLOCK_TORCH = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        allowed = {"onnxruntime", "numpy", "PIL", "click", "skkd"}
        if name.partition(".")[0] not in allowed | {*sys.stdlib_module_names}:
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Block())
"""


def test_a_finished_run_is_told_again_verdict_first(skkd_command, photos, done):
    before = (done / "student.safetensors").stat().st_mtime_ns
    result = skkd_command(*("fit", photos, "--out", done, "--size", 8, "--epochs", 3))
    assert result.exit_code == 0, result.stderr
    first, *others = result.stdout.splitlines()
    assert re.match("distilled and plain: no evidence|distilled and plain are", first)
    assert max(map(len, [first, *others[:10]])) <= 80
    assert re.search(r"^accuracy, % +100.0 +[\d.]+ +[\d.]+$", result.stdout, re.M)
    assert (done / "student.safetensors").stat().st_mtime_ns == before
    html = (done / "comparison.html").read_text()
    assert " ".join(first.split()) in " ".join(html.split())
    assert "temperature 4, alpha 0.9, 3 epochs" in html
    assert "SmallCNN:4 on photos: distilled and plain" in html


def test_other_settings_do_not_touch_a_run(skkd_command, photos, done):
    result = skkd_command("fit", photos, "--out", done, "--size", 8, "--epochs", 4)
    assert result.exit_code == 1
    assert "--epochs 3 there, 4 now" in result.stderr


def test_an_interrupt_says_how_to_go_on(skkd_command, photos, tmp_path, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("skkd.quickstart._training.Training.plain", interrupted)
    result = skkd_command("fit", photos, "--out", tmp_path / "out", "--size", 8)
    assert result.exit_code == 130
    assert f"kept in {tmp_path / 'out'}: the same command goes on" in result.stderr


def test_the_test_is_of_images_that_nothing_was_trained_on(photos, done):
    from skkd.quickstart._images import read_folder

    images = read_folder(photos, None, search=True)
    assert not {*images.student.paths} & {*images.test.paths}
    assert not {*images.teacher.paths} & {*images.test.paths}
    assert len(images.test) == 12


@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
def test_predict_names_what_it_cannot_read_and_answers_the_rest(
    skkd_command, photos, done, tmp_path, kind
):
    model = done / f"student.{kind}"
    if not model.exists():
        pytest.skip("the libraries that export to ONNX are not installed")
    folder = tmp_path / "some"
    shutil.copytree(photos / "dark", folder)
    (folder / "broken.png").write_text("nothing")
    (folder / "notes.txt").write_text("nothing")
    result = skkd_command("predict", model, folder, photos / "bright" / "1.png")
    assert result.exit_code == 1
    rows = [*csv.reader(io.StringIO(result.stdout))]
    assert rows[0] == ["file", "label"]
    paths = [*sorted(map(str, (photos / "dark").parent.glob("dark/*.png")))]
    assert len(rows) == len(paths) + 2
    expected = load_student(done / "student.safetensors").predict(
        [path for path, _ in rows[1:]]
    )
    assert [label for _, label in rows[1:]] == expected.tolist()
    assert f"error: {folder / 'broken.png'}: not an image" in result.stderr
    assert "1 of 26 images cannot be read." in result.stderr


def test_predict_writes_probabilities_as_json_lines(skkd_command, photos, done):
    pattern = f"{photos}/*/1?.png"
    result = skkd_command(
        "predict", done / "student.safetensors", pattern, "--proba", "--json"
    )
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 20
    proba = np.array([[*line["proba"].values()] for line in lines])
    student = load_student(done / "student.safetensors")
    paths = [line["file"] for line in lines]
    np.testing.assert_allclose(proba, student.predict_proba(paths), rtol=1e-6)


def test_predict_works_without_torch(skkd_process, photos, done):
    model = done / "student.onnx"
    if not model.exists():
        pytest.skip("the libraries that export to ONNX are not installed")
    process = skkd_process("predict", model, photos / "dark", before=BLOCK_TORCH)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert len(out.splitlines()) == 25


def test_compare_writes_a_page(skkd_command, photos, done, tmp_path):
    page = tmp_path / "page.html"
    models = [done / "student.safetensors", f"other={done / 'plain.safetensors'}"]
    result = skkd_command("compare", *models, "--data", photos, "--html", page)
    assert result.exit_code == 0, result.stderr
    assert "student and other" in result.stdout or "more accurate" in result.stdout
    assert page.stat().st_size > 5_000


def test_compare_says_what_taught_each_student(skkd_command, photos, done, tmp_path):
    page, card = tmp_path / "page.html", tmp_path / "card.md"
    models = [done / f"{name}.safetensors" for name in ("student", "plain")]
    if (done / "student.onnx").exists():
        models[0] = done / "student.onnx"
    options = ["--data", photos, "--html", page, "--card", card]
    result = skkd_command("compare", *models, *options)
    assert result.exit_code == 0, result.stderr
    html = page.read_text()
    assert "on the labels and on a teacher, DistilledClassifier(SmallCNN(" in html
    assert "temperature=4.0, alpha=0.9" in html
    assert "plain: SmallCNN(" in html
    assert "trained for 3 epochs on the labels alone, without a teacher" in html
    text = card.read_text()
    _, said = text.split("## What taught it")
    assert said.split("##")[0].strip().startswith("Trained")
    assert "a teacher, `DistilledClassifier(SmallCNN(" in said.split("##")[0]
    assert f"({str(models[0].name)!r})" in text


def test_a_card_is_of_one_student(skkd_command, photos, done, tmp_path):
    pytest.importorskip("huggingface_hub")
    models = [done / "student.safetensors", f"b={done / 'student.safetensors'}"]
    card = tmp_path / "card.md"
    result = skkd_command("compare", *models, "--data", photos, "--card", card)
    assert result.exit_code == 1 and not card.exists()
    assert "--card is of one student, and there are ['student', 'b']" in result.stderr


def test_models_of_one_name_are_refused(skkd_command, photos, done):
    model = done / "plain.safetensors"
    result = skkd_command("compare", model, model, "--data", photos)
    assert result.exit_code == 1
    assert "Two models are called 'plain'" in result.stderr


def test_export_says_how_alike_the_file_answers(skkd_command, photos, done, tmp_path):
    pytest.importorskip("skl2onnx")
    out = tmp_path / "s.onnx"
    student = done / "student.safetensors"
    result = skkd_command("export", student, "--out", out, "--data", photos, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["proof"]["label_agreement"] == 1
    assert out.exists()


def test_a_healthy_teacher_and_one_with_its_classes_swapped(
    skkd_command, photos, done, tmp_path
):
    teacher = done / "teacher.safetensors"
    good = skkd_command("check-teacher", teacher, photos)
    assert (good.exit_code, good.stdout) == (0, "Nothing found, on 48 images.\n")
    loaded = load_student(teacher)
    loaded[-1].classes_inferred_ = loaded[-1].classes_inferred_[::-1]
    save_student(loaded, tmp_path / "swapped.safetensors")
    bad = skkd_command("check-teacher", tmp_path / "swapped.safetensors", photos)
    assert bad.exit_code == 1
    assert "permuted-classes" in bad.stdout


def test_check_folder_lists_bad_files_and_copies(skkd_command, photos, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "photos")
    assert skkd_command("check-folder", folder).exit_code == 0
    shutil.copy(folder / "dark" / "1.png", folder / "dark" / "copy.png")
    (folder / "dark" / "broken.png").write_text("nothing")
    result = skkd_command("check-folder", folder, "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert content["images"] == {"bright": 24, "dark": 25}
    assert any("byte-identical" in text for text in content["findings"])
    (skipped,) = content["skipped"]
    assert skipped[0].endswith("broken.png")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_command_goes_on_after_a_signal_in_each_stage(
    skkd_process, photos, tmp_path, number
):
    out = tmp_path / "out"
    arguments = ["fit", photos, "--out", out, "--size", 16, "--epochs", 3, "--search"]
    stages = ["teacher", "plain student", "search", "distilled student", "measuring"]
    kept = {}
    for stage in [*stages, "writing"]:
        process = skkd_process(*arguments)
        for line in process.stderr:
            if line.startswith(stage) and "finished before" not in line:
                process.send_signal(number)
                break
        _, error = process.communicate(timeout=300)
        assert process.returncode == (130 if number == signal.SIGINT else -number)
        assert "Traceback" not in error
        if number == signal.SIGINT:
            assert f"kept in {out}: the same command goes on" in error
        now = {path: path.read_bytes() for path in out.glob("*.safetensors")}
        assert kept.items() <= now.items()
        kept = now
    assert {path.stem for path in kept} == {"teacher", "plain", "student"}
    process = skkd_process(*arguments)
    printed, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert "finished before: student.safetensors" in error
    assert printed.startswith("distilled")
    assert not [*out.rglob(".*.tmp")]
