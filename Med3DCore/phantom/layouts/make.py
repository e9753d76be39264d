"""Which data sets there are made-up versions of, and how one is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from Med3DCore.errors import OutputError, SettingError
from Med3DCore.phantom.layouts import abdomens, brains, chests, ct_rate, uteri
from Med3DCore.phantom.lesion_data_set import write_lesion_data_set
from Med3DCore.progress import Progress

Writer = Callable[[Path, int, int, Progress], None]
"""Of a folder, the number of patients, a seed and a progress."""


def _in_stage(writer: Writer) -> Writer:
    def write(folder: Path, patients: int, seed: int, progress: Progress) -> None:
        with progress.stage("phantoms", share=1.0):
            writer(folder, patients, seed, progress)

    return write


def _write_deep_lesion(folder: Path, patients: int, seed: int, progress: Progress) -> None:
    """A slice with lesions and those around it of each patient: ``DL_info.csv`` and ``Images_png/``."""
    write_lesion_data_set(folder, patients, seed=seed, hard=0.3, progress=progress)


LAYOUTS: Mapping[str, tuple[Writer, int]] = {
    "flare22": (_in_stage(abdomens.write_flare22), 24),
    "liver_cysts": (_in_stage(abdomens.write_liver_cysts), 30),
    "brats_mets": (_in_stage(brains.write_brats_mets), 36),
    "brats2019": (_in_stage(brains.write_brats2019), 36),
    "ct_rate": (_in_stage(ct_rate.write_ct_rate), 120),
    "emphysema": (_in_stage(ct_rate.write_emphysema), 90),
    "uterine_anomalies": (_in_stage(uteri.write_uterine_anomalies), 240),
    "deep_lesion": (_write_deep_lesion, 60),
    "lidc": (_in_stage(chests.write_lidc), 200),
    "luna16": (_in_stage(chests.write_luna16), 40),
}
"""Writers by name, and how many patients suffice to learn something from."""


def write_layout(
    name: str, folder: Path, patients: int | None = None, seed: int = 0, progress: Progress | None = None
) -> int:
    """Write the made-up version of a data set.

    Args:
        name: One of ``LAYOUTS``.
        folder: Where to; made if missing, and empty.
        patients: How many; by default enough to learn something.
        seed: The same seed gives the same patients.
        progress: Follows and may cancel the work.

    Returns:
        How many patients it has.

    Raises:
        SettingError: The name is unknown, the seed negative, or there are fewer than three patients.
        OutputError: The folder is not empty, or cannot be written.
    """
    if name not in LAYOUTS:
        raise SettingError(f"There is no made-up data set '{name}'; known are {', '.join(LAYOUTS)}.")
    if seed < 0:
        raise SettingError(f"The phantoms' seed is {seed}; choose 0 or a positive number.")
    writer, usual = LAYOUTS[name]
    count = usual if patients is None else patients
    if count < 3:
        raise SettingError(f"{count} patients cannot be divided for learning and testing; ask for at least 3.")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise OutputError(f"{folder} is not empty; choose another folder for the phantoms.")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made ({error.strerror}); choose another one.") from error
    writer(folder, count, seed, progress or Progress())
    return count
