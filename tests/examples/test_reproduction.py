"""What the reproductions share prints the figures of a Gain, and nothing else."""

from pathlib import Path

import numpy as np
import pytest

from skkd.report import Fit, Gain


@pytest.fixture
def reproduction(example):
    return example("reproduction")


def result(teacher=True):
    truth, rows = np.zeros(8, dtype=int), np.arange(8)
    wrong = {"plain": 4, "distilled": 2, "teacher": 1}
    fits = [
        Fit(
            *(network, seed, 0, rows, truth, (rows < n - seed).astype(int)),
            None if network == "teacher" else 1.0 + seed,
            None if network == "teacher" else 1234,
        )
        for network, n in wrong.items()
        for seed in range(2)
        if teacher or network != "teacher"
    ]
    return Gain(tuple(fits), rows)


def test_the_table(reproduction, capsys):
    reproduction.show({"digits": result(), "alone": result(teacher=False)})
    lines = capsys.readouterr().out.splitlines()
    table = [line.strip("| ").split(" | ") for line in lines if line[:2] == "| "]
    assert table[2] == [
        *("digits", "plain student", "56.25 ± 8.84", "1,234", "1.5", "2 x 1")
    ]
    assert table[3][:3] == ["digits", "distilled student", "81.25 ± 8.84"]
    assert table[4] == ["digits", "teacher", "93.75 ± 8.84", "", "", "2 x 1"]
    assert len(table) == 7
    assert f"digits: {result().verdict}." in lines
    assert sum(line.startswith("CPU: ") for line in lines) == 1


def test_the_options(reproduction):
    parser = reproduction.parser("What it is.", seeds=3, weights=True)
    args = parser.parse_args(["--data", "d", "--resume", "f/fits.jsonl"])
    assert (args.seeds, args.jobs, args.quick, args.weights) == (3, 1, False, "DEFAULT")
    assert args.mean is None
    assert reproduction.resume_for(args, "small") == Path("f/fits-small.jsonl")
    args = parser.parse_args(["--data", "d", "--mean", "127.5", "--quick"])
    assert args.quick and args.mean == [127.5]
    assert reproduction.resume_for(args, "small") is None
