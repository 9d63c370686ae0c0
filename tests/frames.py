"""Tables of several libraries; tests of those that are missing are skipped."""

import pandas as pd
import pytest


def as_frame(kind, frame):
    """Return a pandas DataFrame as a table of another library."""
    if kind == "pandas":
        return frame
    if kind == "polars":
        columns = {name: frame[name].tolist() for name in frame}
        return pytest.importorskip("polars").DataFrame(columns)
    return pytest.importorskip("pyarrow").Table.from_pandas(pd.DataFrame(frame))


FRAMES = ["pandas", "polars", "pyarrow"]
