"""Files are written beside their place and renamed, so nobody ever sees half a file."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from Med3DCore.errors import OutputError


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that takes the place of ``path`` if the body succeeds.

    Yields:
        Path of a file that does not exist yet. It is removed if the body raises.

    Raises:
        OutputError: The folder is missing or read-only, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}. Choose another folder.") from error
    finally:
        temporary.unlink(missing_ok=True)
