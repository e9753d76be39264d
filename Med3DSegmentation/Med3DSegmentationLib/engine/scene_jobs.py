"""The jobs of a scene: who loses a volume is cancelled, and all are when the scene closes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakMethod

import slicer
import vtk
from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.jobs import Job


class SceneJobs:
    """Starts jobs and observes the scene for them.

    Args:
        scene: The scene.
        waiter: Keeps the event loop going until a function says True.
        onNodeRemoved: Called with each node that goes, after the jobs have been told.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        waiter: Callable[[Callable[[], bool]], None],
        onNodeRemoved: Sequence[Callable[[slicer.vtkMRMLNode], None]],
    ) -> None:
        self._scene, self._waiter, self._onRemoved = scene, waiter, onNodeRemoved
        self._jobs: list[Job] = []
        events = slicer.vtkMRMLScene
        self._observers = [
            scene.AddObserver(events.StartCloseEvent, calling(self._onSceneCloses)),
            scene.AddObserver(events.NodeRemovedEvent, calling(self._onNodeRemoved)),
        ]

    def running(self) -> list[Job]:
        """The jobs that run or wait. Others are dropped: they keep their volumes in memory, even removed ones."""
        self._jobs = [job for job in self._jobs if job.isRunning]
        return list(self._jobs)

    def start(self, job: Job, wait: bool) -> Any:
        """Start a job; returns it, or with ``wait`` its result once it is there.

        Raises:
            Med3DError: The job's, with ``wait``.
        """
        self._jobs = [*self.running(), job]
        job.start()
        return job.wait(self._waiter) if wait else job

    def cancel(self, reason: str = "") -> None:
        """Stop all jobs."""
        for job in list(self._jobs):
            job.cancel(reason)

    def close(self) -> None:
        """Observe the scene no longer, and cancel everything."""
        for tag in self._observers:
            self._scene.RemoveObserver(tag)
        self._observers.clear()
        self.cancel()

    def _onSceneCloses(self, node: slicer.vtkMRMLNode | None) -> None:  # noqa: ARG002 - for all observers
        self.cancel(_("Cancelled, because the scene was closed."))

    def _onNodeRemoved(self, node: slicer.vtkMRMLNode) -> None:
        for job in self.running():
            job.nodeRemoved(node)
        for function in self._onRemoved:
            function(node)


def calling(method: Callable[[slicer.vtkMRMLNode | None], None]) -> Callable:
    """An observer that hands over the node of the event, as long as the method's owner lives.

    A scene that Python frees together with the logic still removes its nodes, and would call a logic half taken apart.
    """
    weak = WeakMethod(method)

    def observer(scene: slicer.vtkMRMLScene, event: str, node: slicer.vtkMRMLNode | None = None) -> None:  # noqa: ARG001
        if living := weak():
            living(node)

    observer.CallDataType = vtk.VTK_OBJECT
    return observer
