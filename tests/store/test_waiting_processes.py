"""Two processes on one folder: one is stopped, the other waits, and says so."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from stored_rows import add, check, on_disk

# Holds a table of a folder, then does what it is told.
HOLDER = """
    import sys, time
    from pathlib import Path
    from stored_rows import keys_of, on_disk, rows_of

    table = on_disk(Path(sys.argv[1]))
    with table.writing():
        print("held", flush=True)
        sys.stdin.readline()
        table.add(keys_of([1]), rows_of([1]))
"""
# Computes in the same folder, with the patience of the arguments.
SECOND = """
    import sys, time, warnings
    from pathlib import Path
    from skkd._store import lock
    from stored_rows import add, on_disk, check

    lock._SILENT, lock._PATIENCE = map(float, sys.argv[2:])
    start = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        add(on_disk(Path(sys.argv[1])), [2])
    check(on_disk(Path(sys.argv[1])), [2], [2])
    print(f"{time.monotonic() - start:.2f}")
    for warning in caught:
        print(warning.message)
"""
posix = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no such signal")


def start(script, *arguments):
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.fixture
def holder(tmp_path):
    process = start(HOLDER, tmp_path)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def wait_for(process):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    seconds, *texts = out.splitlines()
    return float(seconds), texts


def test_the_second_says_for_whom_it_waits_and_gets_its_turn(tmp_path, holder):
    second = start(SECOND, tmp_path, 0.2, 600)
    time.sleep(0.1)
    # Longer than a process takes to start, and to say that it waits.
    for _ in range(100):
        time.sleep(0.05)
    holder.stdin.write("go on\n")
    holder.stdin.flush()
    _, texts = wait_for(second)
    (text,) = texts
    assert f"process {holder.pid} on" in text
    assert "waits until that is done" in text
    holder.wait(timeout=60)
    check(on_disk(tmp_path), [1, 2], [1, 2])


@posix
def test_a_holder_that_is_stopped_stops_nobody_for_ever(tmp_path, holder):
    os.kill(holder.pid, signal.SIGSTOP)
    seconds, texts = wait_for(start(SECOND, tmp_path, 0.2, 1.0))
    assert 1.0 <= seconds < 60
    assert [f"process {holder.pid} on" in text for text in texts] == [True, True]
    assert "waits until that is done" in texts[0]
    assert "computes the same by itself" in texts[1]
    os.kill(holder.pid, signal.SIGCONT)  # it goes on, and both have their rows
    holder.stdin.write("go on\n")
    holder.stdin.flush()
    assert holder.wait(timeout=60) == 0
    check(on_disk(tmp_path), [1, 2], [1, 2])


@posix
def test_a_holder_that_is_killed_leaves_the_folder_at_once(tmp_path, holder):
    holder.kill()
    holder.wait()
    seconds, texts = wait_for(start(SECOND, tmp_path, 0.2, 600))
    assert texts == [] and seconds < 30
    add(on_disk(tmp_path), np.arange(3))
