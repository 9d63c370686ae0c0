"""skkd.runtime works where onnxruntime, NumPy and Pillow are all there is."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from student_files import write_images

import skkd
from skkd.runtime import OnnxClassifier

SOURCE = str(Path(skkd.__file__).parents[1])
# What a fresh process says of a file of a student and an image.
SCRIPT = """if True:
    import json, sys, time
    start = time.process_time()
    from skkd.runtime import OnnxClassifier
    student = OnnxClassifier(sys.argv[1], n_threads=1)
    proba = student.predict_proba([sys.argv[2]]).tolist()
    seconds = time.process_time() - start
    labels = student.predict([sys.argv[2]]).tolist()
    import pickle, skkd
    twin = pickle.loads(pickle.dumps(student))
    assert twin.predict_proba([sys.argv[2]]).tolist() == proba
    packages = {name.partition(".")[0] for name in sys.modules}
    packages = sorted(packages - sys.stdlib_module_names - {"__main__"})
    print(json.dumps([proba, labels, packages, seconds]))
"""
# Nothing else can be imported, as if it was not installed.
BLOCK = """if True:
    import sys
    class Block:
        def find_spec(self, name, path=None, target=None):
            allowed = {"onnxruntime", "numpy", "PIL", "skkd", *sys.stdlib_module_names}
            if name.partition(".")[0] not in allowed:
                raise ModuleNotFoundError(f"No module named {name!r}")
    sys.meta_path.insert(0, Block())
"""


@pytest.fixture
def files(tmp_path):
    image = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    Image.fromarray(pixels).save(image)
    return [str(write_images(tmp_path / "student.onnx")), str(image)]


def ask(python, script, files):
    env = {**os.environ, "PYTHONPATH": SOURCE}
    command = [python, "-c", script, *files]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(python, script, files):
    student = OnnxClassifier(files[0], n_threads=1)
    proba, labels, packages, seconds = ask(python, script, files)
    assert proba == student.predict_proba([files[1]]).tolist()
    assert labels == student.predict([files[1]]).tolist()
    assert seconds < 1  # import, load and first prediction, of the processor's time
    assert not {"torch", "torchvision", "skorch", "sklearn", "scipy"} & {*packages}


def test_with_other_packages_out_of_reach(files):
    check(sys.executable, BLOCK + SCRIPT, files)


def test_nothing_more_is_imported_where_it_is_there(files):
    check(sys.executable, SCRIPT, files)


@pytest.mark.slow
@pytest.mark.network
def test_in_an_environment_of_three_packages(files, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = str(tmp_path / "env" / "bin" / "python")
    packages = ["onnxruntime", "numpy", "pillow"]
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    env = ask(
        python,
        "import importlib.util as u, json; print(json.dumps([n for n in "
        "('torch', 'sklearn', 'skorch') if u.find_spec(n)]))",
        [],
    )
    assert env == []
    check(python, SCRIPT, files)
