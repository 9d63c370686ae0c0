"""Arrays in files that are cut while they are open: an error, and no dead process."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skkd._data.mapped import check_mapped, in_memory, is_mapped

# To read behind the end of a mapped file ends a process with a signal: each case is one
# of its own, a fork of one that has imported what is needed.
SCRIPT = """
    import os, sys
    import numpy as np, torch
    from sklearn.naive_bayes import GaussianNB
    from skorch.callbacks import Callback
    from skkd import DistilledClassifier
    from skkd.images import ImageReader

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(20000, 20)).astype("f4")
    y = np.arange(len(whole)) % 2
    teacher = GaussianNB().fit(whole[:100], y[:100])
    net = DistilledClassifier(max_epochs=1, random_state=0, batch_size=1000)

    class Cuts(Callback):
        def on_epoch_end(self, net, **kwargs):
            cut()

    class Two(torch.nn.Linear):
        def __init__(self):
            super().__init__(20, 2)
        def forward(self, a, b):
            return super().forward(a + b)

    class Asked(GaussianNB):
        def predict_log_proba(self, X):
            cut()
            return super().predict_log_proba(np.zeros((len(X), 20)))

    def fit(X):
        cut()
        net.fit(X, y)

    def between_epochs(X):
        net.set_params(callbacks=[Cuts()], max_epochs=2).fit(X, y)

    def predict(X):
        net.fit(whole[:100], y[:100])
        net.predict(X[:1000])
        cut()
        net.predict(X)

    def view(X):
        view = np.asarray(X)[5:, ::2]
        cut()
        net.fit(view, y[5:])

    def mapping(X):
        net.set_params(module=Two, callbacks=[Cuts()], max_epochs=2)
        net.fit({"a": X, "b": whole}, y)

    def asked(X):
        net.set_params(teacher=Asked().fit(whole[:100], y[:100]), memory=False)
        net.fit(X, y)

    def teacher_logits(X):
        net.set_params(callbacks=[Cuts()], max_epochs=2)
        net.fit(rng.normal(size=(20000, 3)), y, teacher_logits=X[:, :2])

    def images(X):
        images = X.view("u1").reshape(100, 160, 100)
        cut()
        ImageReader(4).transform(images)

    for name in sys.argv[2:]:
        case = globals()[name]
        file = f"{sys.argv[1]}/{case.__name__}.npy"
        np.save(file, whole)
        cut = lambda: os.truncate(file, 4096)
        child = os.fork()
        if child:
            print(case.__name__, "ended with", os.waitpid(child, 0)[1], flush=True)
            continue
        try:
            case(np.load(file, mmap_mode="r"))
            print("nothing", flush=True)
        except OSError as error:
            print(case.__name__, type(error).__name__, error, flush=True)
        os._exit(0)
"""
CASES = [
    *("fit", "between_epochs", "predict", "view", "mapping", "asked"),
    *("teacher_logits", "images"),
]


@pytest.mark.skipif(sys.platform != "linux", reason="forks processes")
def test_a_file_that_is_cut_is_an_error(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), tmp_path, *CASES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for case in CASES:
        assert f"{case} ended with 0\n" in done.stdout, done.stdout + done.stderr
        (told,) = [s for s in done.stdout.splitlines() if s.startswith(f"{case} ")][:1]
        if case == "images":
            assert "UnreadableImageError Cannot read 100 of 100 images" in told
            assert "'X[0]': An array lies in the file" in done.stdout
        else:
            assert f"{case}.npy', which was cut from 1,600,128 to 4,096 bytes" in told
            assert "Restore the file" in told


def test_what_is_whole_passes(tmp_path):
    values = np.arange(4000.0).reshape(1000, 4)
    np.save(tmp_path / "a.npy", values)
    values.tofile(tmp_path / "a.bin")
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    raw = np.memmap(tmp_path / "a.bin", "f8", "r", offset=8000, shape=(750, 4))
    for array in (mapped, mapped[3:], np.asarray(mapped)[::2], mapped.T, raw, raw[7:]):
        assert is_mapped(array)
        check_mapped({"x": array})
        assert not is_mapped(in_memory(array))
        assert_array_equal(in_memory(array), array)
    for array in (values, values[2:], mapped[[1, 2]], [1], None):
        assert not is_mapped(array)
        check_mapped(array)
    assert in_memory(values) is values


def test_a_cut_of_one_byte_is_seen(tmp_path):
    np.zeros(5000).tofile(tmp_path / "a.bin")
    raw = np.memmap(tmp_path / "a.bin", "f8", "r", offset=32000)
    check_mapped(raw)
    os.truncate(tmp_path / "a.bin", 39999)
    with pytest.raises(OSError, match="cut from 40,000 to 39,999 bytes"):
        check_mapped(raw[-1:])
