"""Draw the picture of the README: accuracy against the share of labels.

    python benchmarks/picture_of_labels.py

The numbers are those of the table of bench_labels in benchmarks/README.md, so that the
picture and the table cannot differ. It is written to docs/_static/few_labels.svg.
"""

import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "_static" / "few_labels.svg"
# Of the table: data, per cent, number of labels, labels alone and distilled.
ROW = re.compile(
    r"^\| (digits|MNIST) \| (\d+) % \| [\d,]+ "
    r"\| ([\d.]+) ± ([\d.]+) \| ([\d.]+) ± ([\d.]+) \|",
    re.M,
)
TEACHERS = {"digits": 97.1, "MNIST": 95.4}
SIDES = {"with a teacher": ("#1f6fb4", "o"), "labels alone": ("#c8641e", "s")}
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "skkd",  # the same file each time
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def rows() -> dict[str, list[tuple[float, ...]]]:
    """Return for each data set per cent, accuracies and their errors."""
    found: dict[str, list[tuple[float, ...]]] = {}
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    for name, *numbers in ROW.findall(text):
        found.setdefault(name, []).append(tuple(map(float, numbers)))
    return found


def draw(path: Path = PICTURE) -> None:
    """Write the picture."""
    with mpl.rc_context(STYLE):
        fig, axes = plt.subplots(
            1, 2, figsize=(7.2, 2.7), sharey=True, layout="constrained"
        )
        for ax, (name, table) in zip(axes, rows().items(), strict=True):
            share, alone, alone_error, taught, taught_error = zip(*table, strict=True)
            for side, mean, error in (
                ("with a teacher", taught, taught_error),
                ("labels alone", alone, alone_error),
            ):
                color, marker = SIDES[side]
                ax.errorbar(
                    *(share, mean, error),
                    **{"color": color, "marker": marker, "markersize": 4},
                )
                at = 1 if side == "labels alone" else 0
                ax.annotate(
                    side,
                    (share[at], mean[at]),
                    xytext=(8, -4) if at else (0, -13),
                    textcoords="offset points",
                    color=color,
                )
            ax.axhline(TEACHERS[name], color="gray", linewidth=0.8, linestyle="--")
            ax.annotate(
                "the teacher", (100, TEACHERS[name] + 1), ha="right", color="gray"
            )
            ax.set_xscale("log")
            ax.set_xticks(share, [f"{each:g} %" for each in share])
            ax.minorticks_off()
            ax.set_title(name, loc="left")
            ax.set_xlabel("of the training samples have a label")
        axes[0].set_ylabel("test accuracy, %")
        axes[0].set_ylim(50, 102)
        fig.savefig(path, metadata={"Date": None}, facecolor="white")
        plt.close(fig)


if __name__ == "__main__":
    draw()
    print(PICTURE.relative_to(ROOT))
