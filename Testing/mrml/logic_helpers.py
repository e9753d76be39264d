"""What the tests of the module's logic share."""

import time


class Ear:
    """Callbacks that remember; ``steps`` of the engine and ``own`` ones in Slicer, before and after."""

    def __init__(self):
        self.steps, self.own, self.results, self.errors = [], [], [], []
        self.callbacks = {
            "onProgress": self._hear,
            "onFinished": self.results.append,
            "onError": self.errors.append,
        }

    def _hear(self, stage, fraction, secondsLeft):
        own = stage.endswith(("Handing over the volume", "Starting the engine", "Showing the result"))
        (self.own if own else self.steps).append((stage, fraction, secondsLeft))


def until(isDone):
    from Med3DSegmentationLib.engine.process import processEventsUntil

    end = time.monotonic() + 30
    processEventsUntil(lambda: isDone() or time.monotonic() > end)
    assert isDone()


def voxels(volumeNode):
    import slicer.util

    return slicer.util.arrayFromVolume(volumeNode)


def emptyVolume(scene):
    return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")


def segmentations(scene):
    nodes = scene.GetNodesByClass("vtkMRMLSegmentationNode")
    nodes.UnRegister(None)
    return [nodes.GetItemAsObject(i) for i in range(nodes.GetNumberOfItems())]
