"""A model's file that somebody removes or replaces while the model is in use.

Weights are read when they are first needed, which may be minutes after the description was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from Med3DCore.errors import ModelError
from Med3DCore.models import archive as zips
from Med3DCore.models.document import document_from_bytes


@contextmanager
def still_in_place(path: Path, members: Sequence[dict]) -> Iterator[None]:
    """What goes wrong in the block is told as what it is if the file is not the one any more that was opened.

    Args:
        path: The file.
        members: Its entries, as its ``model.json`` listed them then.

    Raises:
        ModelError: It was removed or replaced; else what the block raises.
    """
    try:
        yield
    except ModelError:
        require_in_place(path, members)
        raise


def require_in_place(path: Path, members: Sequence[dict]) -> None:
    """Refuse a file that is not the one any more that was opened.

    Raises:
        ModelError: It was removed or replaced.
    """
    try:
        with zips.open_archive(path) as archive:
            now = document_from_bytes(zips.read_document(archive, path.name), path.name)["members"]
    except ModelError:
        now = None
    if now != list(members):
        raise ModelError(f"{path} was removed or replaced while it was in use; start again.") from None
