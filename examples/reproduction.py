"""What the scripts reproduce_*.py share: options, and how a result is printed."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from skkd.report import Gain, describe_machine

TITLES = {
    "plain": "plain student",
    "distilled": "distilled student",
    "teacher": "teacher",
}


def parser(doc: str, *, seeds: int = 5, weights: bool = False):
    """Return a parser with the options of every reproduction.

    `weights` adds those of a pretrained network: a file is given with the mean and
    the spread of its training images, on the scale of 0 to 255.
    """
    out = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("--data", type=Path, required=True, help="folder of the data")
    out.add_argument("--seeds", type=int, default=seeds, help="how many students")
    out.add_argument("--jobs", type=int, default=1, help="processes of one thread")
    out.add_argument("--resume", type=Path, help="JSON lines of the finished fits")
    out.add_argument("--quick", action="store_true", help="only see that it runs")
    if weights:
        out.add_argument(
            "--weights", default="DEFAULT", help="torchvision's, or a file of weights"
        )
        out.add_argument("--mean", type=float, nargs="+", help="of a file's images")
        out.add_argument("--std", type=float, nargs="+", help="of a file's images")
    return out


def resume_for(args: argparse.Namespace, name: str) -> Path | None:
    """Return the file of one of several comparisons: fits.jsonl -> fits-name.jsonl."""
    if args.resume is None:
        return None
    return args.resume.with_name(f"{args.resume.stem}-{name}{args.resume.suffix}")


def table(results: Mapping[str, Gain]) -> str:
    """Return a Markdown table: three networks for each result, and its gain.

    Accuracies are mean and standard deviation over all fits, times their median.
    """
    lines = [
        "| | network | accuracy, % | parameters | seconds to fit | seeds x folds |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, result in results.items():
        for network, title in TITLES.items():
            scores = getattr(result, network)
            if scores is None:
                continue
            seconds = result.seconds.get(network)
            cells = (
                name,
                title,
                spread(100 * scores),
                size(result.n_parameters[network]),
                "" if seconds is None else f"{np.median(seconds):.1f}",
                f"{scores.shape[0]} x {scores.shape[1]}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values) -> str:
    """Return mean and standard deviation."""
    if values.size == 1:
        return f"{values.mean():.2f}"
    return f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"


def size(n_parameters: int | None) -> str:
    """Return a number of parameters; blank where a teacher is no network."""
    return "" if n_parameters is None else f"{n_parameters:,}"


def show(results: Mapping[str, Gain]) -> None:
    """Print the table, what to conclude from each result, and the machine."""
    print(f"\n{table(results)}\n")
    for name, result in results.items():
        print(f"{name}: {result.verdict}.\n{result.covers}")
    print(f"\n{describe_machine()}")
