"""From a scan to what a network sees, and back."""

from Med3DCore.preprocessing.intensity import MedicalNet, Percentile, Window
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.preprocessing.resample import resample
from Med3DCore.preprocessing.spacing import domain_spacing, world_grid

__all__ = ["MedicalNet", "Percentile", "Preprocessing", "Window", "domain_spacing", "resample", "world_grid"]
