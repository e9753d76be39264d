"""Where the results of ``med3d segment`` go, found out before the work."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from Med3DCore.errors import OutputError, SettingError
from Med3DCore.io import check_output
from Med3DCore.io.dicom_results import DICOM_ENDINGS
from Med3DCore.io.files import ending_of
from Med3DCore.io.write import WRITABLE
from Med3DCore.system.locks import locked

_ENDING = ".seg.nrrd"


@dataclass(frozen=True)
class Places:
    """Of one scan.

    Args:
        source: The scan.
        outputs: Files that the result is written to.
        picture: File to draw it in, or None.
        is_default: Whether nobody named the output.
    """

    source: Path
    outputs: tuple[Path, ...]
    picture: Path | None
    is_default: bool = False


def places_of(sources: Sequence[Path], outputs: Sequence[Path], picture: Path | None) -> list[Places]:
    """Where the result of each scan goes.

    Args:
        sources: The scans.
        outputs: As given: files for one scan; for several, folders, or names in which ``{}`` stands for that of the
            scan. Without any, the current folder.
        picture: As given, likewise, or None.

    Raises:
        OutputError: One cannot be written, would replace a scan, or a result that somebody may have corrected.
        SettingError: Several scans would be written to one place, or there is no matplotlib to draw with.
    """
    several = len(sources) > 1
    found = []
    for source in sources:
        named = tuple(_for(source, output, _ENDING) for output in outputs) if several else tuple(outputs)
        drawn = _for(source, picture, ".png") if several and picture is not None else picture
        named = tuple({output.resolve(): output for output in reversed(named)}.values())[::-1]  # each file once
        found.append(Places(source, named or (_default_output(source),), drawn, not named))
    _require_different(found)
    for places in found:
        _check(places)
    return found


def _for(source: Path, given: Path, ending: str) -> Path:
    if given.is_dir():
        return given / f"{_name(source)}{ending}"
    if "{}" not in given.name:
        raise SettingError(
            f"Several scans cannot all be written to {given}; give a folder that exists, or a name with {{}} for the "
            f"scan's, such as 'results/{{}}{ending}'."
        )
    return given.with_name(given.name.replace("{}", _name(source)))


def _name(source: Path) -> str:
    """Of a scan, without its ending."""
    name = source.resolve().name
    for ending in (ending_of(source), ".dcm"):
        name = name[: len(name) - len(ending)] if ending and name.lower().endswith(ending) else name
    return name or "scan"


def _default_output(source: Path) -> Path:
    """In the current folder, named after the scan; never a file that is there, perhaps corrected by hand.

    Raises:
        OutputError: It is there.
    """
    output = Path(f"{_name(source)}{_ENDING}")
    _require_absent(output)
    return output


@contextmanager
def reserved(places: Places) -> Iterator[None]:
    """While the block runs, no other process makes a file of the same default name; both would find it free at first.

    Raises:
        InUse: Another one makes it just now.
        OutputError: It was made meanwhile.
    """
    if not places.is_default:
        yield
        return
    (output,) = places.outputs
    lock = output.with_name(f".{output.name}.lock")
    with locked(lock, f"Another process is just making {output}", "name this result with -o"):
        _require_absent(output)
        yield


def _require_absent(output: Path) -> None:
    if output.exists():
        again = shlex.quote(str(output))
        raise OutputError(f"{output} exists already; name the result with -o, or use -o {again} to replace it.")


def _require_different(found: Sequence[Places]) -> None:
    taken: dict[Path, Path] = {}
    for places in found:
        for file in (*places.outputs, *filter(None, [places.picture])):
            other = taken.setdefault(file.resolve(), places.source)
            if other is not places.source:
                raise SettingError(
                    f"The results of {other} and {places.source} would both be written to {file}; segment them one by "
                    "one, with -o."
                )


def _check(places: Places) -> None:
    for output in places.outputs:
        check_output(output, (_ENDING, *WRITABLE, *DICOM_ENDINGS))
        if output.exists() and places.source.exists() and output.samefile(places.source):
            raise OutputError(f"The result would replace the scan {places.source}; choose another name.")
    if places.picture is not None:
        from Med3DCore.drawing.figure import require_matplotlib

        check_output(places.picture, (".png",))
        require_matplotlib()
