"""A scan on its way through the stages of a model, with what they found in it so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from Med3DCore.inference.stage_result import StageResult
from Med3DCore.models.stage import Stage
from Med3DCore.preprocessing.padding import Seen
from Med3DCore.preprocessing.preprocessing import Box
from Med3DCore.volume import Volume

Look = tuple[StageResult | None, StageResult | None]  # of the stage that a label is from, and of the one before it

# Networks learn from patches that reach beyond the scan: so there is something around it here, too.
_MARGIN_VOXELS = 8


@dataclass(frozen=True, eq=False)
class Reading:
    """One way of a scan through the stages; a second look is another.

    Args:
        seen: The scan as networks see it.
        channels: Further images of the patient on its grid, for a model that takes several.
        results: Name of a stage that ran to what it found; None where it had no place to look at.
    """

    seen: Seen
    channels: Sequence[Volume] = ()
    results: dict[str, StageResult | None] = field(default_factory=dict)

    def before(self, stage: Stage) -> StageResult | None:
        """Of the stage that tells this one where to look; None without one, or if that had nowhere to look."""
        return self.results[stage.region["stage"]] if stage.region else None

    def box(self, stage: Stage) -> Box | None:
        """LPS box in mm that a stage looks at, or None if the stage before it found nothing there."""
        if stage.region is None:
            low, high = self.seen.bounds()
            pad = _MARGIN_VOXELS * np.asarray(stage.preprocessing["spacing"])
            return low - pad, high + pad
        before = self.before(stage)
        return before.box(stage.labels, stage.region["margin_mm"]) if before else None

    def look(self, stage: Stage) -> Look:
        """What a stage found, and the stage before it."""
        return self.results[stage.name], self.before(stage)
