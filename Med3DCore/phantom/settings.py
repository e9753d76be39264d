"""What to make: the patient, the scan and the grid."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Triple
from Med3DCore.phantom.contrast import Contrast, find_contrast
from Med3DCore.phantom.nodules import PhantomNodule

# From and to, mm above the first lumbar vertebra of a patient of average height.
REGIONS: dict[str, tuple[float, float]] = {
    "chest": (-30.0, 310.0),
    "abdomen": (-190.0, 135.0),
    "torso": (-140.0, 310.0),
    "pelvis": (-310.0, -90.0),
}
# Factor on all lengths, factor on the thickness of fat.
SIZES: dict[str, tuple[float, float]] = {"small": (0.9, 0.8), "medium": (1.0, 1.0), "large": (1.08, 1.6)}
KERNELS: dict[str, float] = {"soft": 1.6, "standard": 1.1, "sharp": 0.7}  # Width of the point spread, mm.
PATHOLOGIES = ("liver_lesions", "lung_nodules", "effusion")
AXIS_OF = {"L": 0, "R": 0, "P": 1, "A": 1, "S": 2, "I": 2}  # Patient axis of each letter; L, P, S are positive.
ORGANS = ("liver", "left_lung", "right_lung", "spleen", "left_kidney", "right_kidney", "heart", "spine", "ribs")
ADRENAL_GLANDS = ("right_adrenal_gland", "left_adrenal_gland")
# Organs that have labels where they are asked for; adrenal glands are painted only then.
MORE_ORGANS = ("pancreas", "aorta", "postcava", *ADRENAL_GLANDS, "gallbladder", "esophagus", "stomach", "duodenum")


@dataclass(frozen=True)
class PhantomSettings:
    """Everything about a phantom but its seed. The same seed is the same patient in every scan, region and grid.

    Args:
        spacing: Voxel size in mm along the patient's x, y and z.
        region: "chest", "abdomen", "torso", "pelvis" as tall as the patient is, or lowest and highest z in LPS mm.
        in_plane: Lowest x, highest x, lowest y, highest y in LPS mm; None fits the patient and the table.
        contrast: "native", "arterial", "portal", "mr_t1", "mr_t2", or a table of one's own.
        labels: Organs to label, of ``ORGANS`` and ``MORE_ORGANS``; "lungs" is both lungs as one.
        pathology: Any of "liver_lesions", "lung_nodules", "effusion".
        size: "small", "medium" or "large" patient.
        arms: "up" or "down".
        noise_hu: Standard deviation of the noise in soft tissue, which stands for the dose.
        kernel: "soft", "standard" or "sharp" reconstruction.
        streaks: Noise in streaks where the patient is widest, as between the shoulders.
        table: Put the patient on a table.
        circle: Set what lies outside the round field of the scanner to its lowest value.
        orientation: Patient direction in which the index of each array axis grows, such as "LPS" or "RAI"; any order.
        oblique: Degrees by which the grid is turned about x, then y, then z, around its centre.
        nodules: Nodules of known nature to put into the lungs.

    Raises:
        SettingError: A setting makes no sense.
    """

    spacing: Triple = (2.5, 2.5, 2.5)
    region: str | tuple[float, float] = "torso"
    in_plane: tuple[float, float, float, float] | None = None
    contrast: str | Contrast = "portal"
    labels: tuple[str, ...] = ORGANS
    pathology: tuple[str, ...] = ()
    size: str = "medium"
    arms: str = "up"
    noise_hu: float = 12.0
    kernel: str = "standard"
    streaks: bool = False
    table: bool = True
    circle: bool = False
    orientation: str = "LPS"
    oblique: Triple = (0.0, 0.0, 0.0)
    nodules: tuple[PhantomNodule, ...] = ()

    def __post_init__(self) -> None:
        find_contrast(self.contrast)
        for what, values, known in (
            ("region", [self.region] if isinstance(self.region, str) else [], REGIONS),
            ("size", [self.size], SIZES),
            ("arms", [self.arms], ("up", "down")),
            ("kernel", [self.kernel], KERNELS),
            ("pathology", self.pathology, PATHOLOGIES),
            ("label", self.labels, (*ORGANS, *MORE_ORGANS, "lungs")),
        ):
            _check_names(what, values, known)
        if len(set(self.labels)) < len(self.labels):
            raise SettingError("Each organ can be asked for only once.")
        if "lungs" in self.labels and {"left_lung", "right_lung"} & set(self.labels):
            raise SettingError("The phantom's labels can hold 'lungs' or the single lungs, not both; leave one out.")
        if not isinstance(self.region, str):
            _check_range("region", *self.region)
        if self.in_plane is not None:
            _check_range("in_plane", *self.in_plane[:2])
            _check_range("in_plane", *self.in_plane[2:])
        if len(self.spacing) != 3 or not all(0.2 <= s <= 20 for s in self.spacing):
            raise SettingError(f"The phantom's spacing {self.spacing} is not three numbers from 0.2 to 20 mm.")
        if not 0 <= self.noise_hu <= 500:
            raise SettingError(f"The phantom's noise is {self.noise_hu} HU; choose 0 to 500.")
        if sorted(AXIS_OF.get(letter, 9) for letter in self.orientation) != [0, 1, 2]:
            raise SettingError(
                f"The phantom's orientation '{self.orientation}' is not one each of L/R, P/A and S/I, such as 'RAS'."
            )
        if len(self.oblique) != 3 or not all(math.isfinite(angle) for angle in self.oblique):
            raise SettingError(f"The phantom's oblique angles {self.oblique} are not three numbers of degrees.")


def _check_names(what: str, values: Iterable[str], known: Collection[str]) -> None:
    for value in values:
        if value not in known:
            raise SettingError(f"Unknown {what} '{value}' of the phantom. Known: {', '.join(known)}.")


def _check_range(what: str, low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and 1 <= high - low <= 2000):
        raise SettingError(f"The phantom's {what} from {low} to {high} mm is not a range of 1 to 2000 mm.")
