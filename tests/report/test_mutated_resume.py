"""Resume files of a gain, changed at random: refused by name, or the same fits."""

import pytest
from mutations import mutated

from skkd.report._gain._resume import Journal

ABOUT = {"estimator": {"alpha": "0a", "type": "x"}, "data": {"X": "0b", "y": "0c"}}


def records_of(path):
    with Journal(path, ABOUT).opened() as found:
        return found


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "fits.jsonl"
    assert records_of(path) == []
    for i in range(6):
        Journal(path, ABOUT).add(
            {
                "network": ("plain", "distilled")[i % 2],
                "seed": i // 2,
                "fold": 0,
                "predicted": [i, 1, 2],
                "seconds": i / 7,
                "rows": f"{i:016x}",
            }
        )
    return path


def test_no_change_of_a_file_gives_another_result(path):
    content, whole = path.read_bytes(), records_of(path)
    n_refused = 0
    for seed in range(300):
        path.write_bytes(mutated(seed, content))
        try:
            found = records_of(path)
        except ValueError as error:
            n_refused += 1
            assert str(error).startswith(f"resume={str(path)!r}")
            assert any(
                remedy in str(error)
                for remedy in ("Delete it", "another path", "the path of a new one")
            )
            # A file that is refused is left as it was, but for a line without its end.
            assert mutated(seed, content).startswith(path.read_bytes())
        else:  # fits that are lost are done again
            assert all(record in whole for record in found)
    assert n_refused > 200


def test_lines_in_another_order_are_the_same_fits(path):
    whole = records_of(path)
    header, *lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([header, *lines[::-1], lines[2]]))
    found = records_of(path)
    assert all(record in whole for record in found) and len(found) == 7


def test_errors_of_the_disk_name_the_file_and_what_to_do(path, monkeypatch, tmp_path):
    def fail(*args):
        raise OSError(28, "No space left on device")

    journal = Journal(path, ABOUT)
    with monkeypatch.context() as patch:
        patch.setattr("skkd.report._gain._resume.os.fsync", fail)
        with pytest.raises(OSError, match=r"resume='.*fits.*No space.*free space") as e:
            journal.add({"seed": 9})
    assert e.value.errno == 28
    with (
        pytest.raises(
            OSError, match=r"resume=.*cannot be read or written.*another|Give"
        ),
        Journal(tmp_path, ABOUT).opened(),
    ):
        pass
    file = tmp_path / "file"
    file.touch()
    with (
        pytest.raises(OSError, match=r"resume=.*file/fits.*Give a file in a folder"),
        Journal(file / "fits.jsonl", ABOUT).opened(),
    ):
        pass
