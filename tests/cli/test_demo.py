"""`skkd demo`: a page that runs a student in the browser."""

import contextlib
import functools
import http.server
import json
import shutil
import subprocess
import tarfile
import threading

import numpy as np
import pytest
from chromium import Chromium
from image_folders import write_squares
from PIL import Image

pytest.importorskip("skl2onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime")

from sklearn.pipeline import make_pipeline

from skkd import DistilledClassifier, ImageReader, load_image_folder
from skkd._cli._demo import _CDN, _VERSION
from skkd.export import export_onnx
from skkd.runtime import OnnxClassifier


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A student of images of other sides than its own."""
    folder = tmp_path_factory.mktemp("demo")
    photos = load_image_folder(write_squares(folder / "photos", n=8, side=45))
    net = DistilledClassifier(max_epochs=3, module__width=4, random_state=0)
    student = make_pipeline(ImageReader((9, 12)), net).fit(photos.data, photos.target)
    export_onnx(student, folder / "student.onnx", X_calibration=photos.data)
    return folder / "student.onnx"


def test_without_npm_the_page_names_a_cdn(skkd_command, model, tmp_path):
    page = tmp_path / "page"
    photos = model.parent / "photos" / "dark"
    result = skkd_command("demo", model, "--out", page, "--examples", photos)
    assert result.exit_code == 0, result.stderr
    content = json.loads((page / "student.json").read_text())
    assert content["runtime"].endswith(f"onnxruntime-web@{_VERSION}/dist/")
    assert content["classes"] == ["bright", "dark"] and content["size"] == [9, 12]
    assert all((page / name).is_file() for name in content["examples"])
    assert (page / "student.onnx").read_bytes() == model.read_bytes()


def test_nothing_is_written_where_something_is_wrong(skkd_command, model, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    taken = skkd_command("demo", model, "--out", tmp_path / "mine")
    assert "expected a new or an empty folder" in taken.stderr
    X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    table = DistilledClassifier(max_epochs=1).fit(X, X[:, 0] > 0)
    export_onnx(table, tmp_path / "table.onnx")
    no_images = skkd_command("demo", tmp_path / "table.onnx", "--out", tmp_path / "p")
    assert "takes no image files" in no_images.stderr
    no_npm = skkd_command("demo", model, "--out", tmp_path / "p", "--npm", tmp_path)
    assert "expected the folder of onnxruntime-web" in no_npm.stderr
    no_onnx = skkd_command("demo", "student.safetensors", "--out", tmp_path / "p")
    assert "'student.safetensors': expected student.onnx" in no_onnx.stderr
    results = (taken, no_images, no_npm, no_onnx)
    assert {result.exit_code for result in results} == {1}
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "table.onnx"}


@pytest.fixture(scope="module")
def chromium():
    """The program; where it is not installed, nothing else is prepared."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    return program


@pytest.fixture(scope="module")
def npm_package(chromium, tmp_path_factory):
    """The folder of onnxruntime-web, from the registry of npm."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed, which fetches onnxruntime-web")
    folder = tmp_path_factory.mktemp("npm")
    # Without the packages that it depends on: its bundle has them.
    pack = ["npm", "pack", "--silent", f"onnxruntime-web@{_VERSION}"]
    made = subprocess.run(pack, cwd=folder, check=True, capture_output=True, text=True)
    with tarfile.open(folder / made.stdout.split()[-1]) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


@pytest.fixture
def browser(chromium, tmp_path):
    """Chromium with a page as wide as a telephone."""
    browser = Chromium(chromium, tmp_path / "profile")
    browser.ask(
        "Emulation.setDeviceMetricsOverride",
        **{"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
    )
    yield browser
    browser.close()


@pytest.fixture
def photo(tmp_path):
    rows, columns = np.mgrid[:91, :70]
    pixels = np.dstack([rows * 2, columns * 3, (rows * columns) % 256]).astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", quality=90)
    return tmp_path / "photo.jpg"


@contextlib.contextmanager
def served(folder):
    """Serve a folder as `python -m http.server` does; give the address."""
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def answer_to_a_click(browser, address):
    """Open a page and click at its first example; return what it says of it."""
    browser.ask("Page.navigate", url=address)
    browser.wait_for("document.getElementById('status')?.textContent === 'Ready.'")
    browser.click("#examples button")
    return browser.wait_for("document.querySelector('#answer li')?.textContent")


@pytest.mark.browser
def test_a_click_in_a_browser_gives_the_class_of_the_runtime(
    browser, npm_package, skkd_command, model, photo, tmp_path
):
    options = ["--npm", npm_package, "--examples", photo]
    result = skkd_command("demo", model, "--out", tmp_path / "page", *options)
    assert result.exit_code == 0, result.stderr
    with served(tmp_path / "page") as address:
        said = answer_to_a_click(browser, address)
        pixels = np.array(browser.value("[...window.pixels]"))
        width = browser.value("document.documentElement.scrollWidth")
    expected = ImageReader((9, 12)).transform([photo])[0].ravel()
    assert np.abs(pixels - expected).mean() < 2
    assert said.startswith(OnnxClassifier(model).predict([photo])[0])
    assert width == 390


@pytest.mark.browser
def test_the_page_works_with_the_files_of_the_cdn(
    browser, npm_package, skkd_command, model, photo, tmp_path
):
    result = skkd_command(
        "demo", model, "--out", tmp_path / "page", "--examples", photo
    )
    assert result.exit_code == 0, result.stderr
    # There may be no internet: what the page asks of it comes from the npm package,
    # which is what the CDN serves.
    browser.stand_in(_CDN, npm_package / "dist")
    with served(tmp_path / "page") as address:
        said = answer_to_a_click(browser, address)
    assert said.startswith(OnnxClassifier(model).predict([photo])[0])
    assert {url.rpartition("/")[2] for url in browser.asked_of_others} == {
        *("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs"),
        "ort-wasm-simd-threaded.wasm",
    }
