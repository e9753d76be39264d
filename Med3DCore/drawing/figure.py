"""A picture by matplotlib: one figure, one PNG, whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.errors import SettingError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def drawn(path: Path, inches: tuple[float, float], dpi: int = 100, facecolor: str = "white") -> Iterator[Figure]:
    """A figure to draw on; when the block ends well it is written.

    Args:
        path: The PNG, written beside and renamed.
        inches: Width and height.
        dpi: Dots an inch.
        facecolor: Of the background.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: The picture cannot be written.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    from Med3DCore.io import written_beside

    figure = Figure(figsize=inches, facecolor=facecolor, layout="constrained")
    yield figure
    with written_beside(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)


def require_matplotlib() -> None:
    """Find out whether a picture can be drawn, without the second that importing matplotlib takes.

    Raises:
        SettingError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise SettingError("A picture needs the Python package matplotlib; pip install matplotlib, or ask for none.")
