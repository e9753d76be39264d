"""Stand-in for ``slicer.app.coreIOManager()``: what Slicer's own load and save functions in ``slicer.util`` call.

The reading and writing is real (storage nodes, module logics, .mrb bundles); only the choice of the reader, which
Slicer's Qt plug-ins make, is ours. A file type without a reader here is an error, never a silent None.
"""

from __future__ import annotations

from pathlib import Path

import vtk

_SUFFIXES = {
    "SceneFile": (".mrml", ".mrb"),
    "SegmentationFile": (".seg.nrrd", ".seg.nhdr", ".seg.vtm"),
    "ModelFile": (".vtk", ".vtp", ".stl", ".ply", ".obj"),
    "TransformFile": (".h5", ".tfm"),
    "MarkupsFile": (".mrk.json",),
    "VolumeFile": (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".gipl.gz"),
}
_WRITERS = {
    "vtkMRMLSegmentationNode": "SegmentationFile",
    "vtkMRMLVolumeNode": "VolumeFile",
    "vtkMRMLModelNode": "ModelFile",
    "vtkMRMLTransformNode": "TransformFile",
    "vtkMRMLMarkupsNode": "MarkupsFile",
}
_VOLUME_OPTIONS = {"labelmap": 1, "center": 2, "singleFile": 4, "autoWindowLevel": 8, "discardOrientation": 16}


class CoreIOManager:
    """Loads and saves nodes of one scene.

    Args:
        scene: Where nodes go.
        application_logic: Whose module logics read them.
        show: Called with a loaded volume that asks to be shown, as Slicer does unless ``show`` is False.
    """

    def __init__(self, scene, application_logic, show) -> None:
        self._scene, self._application_logic, self._show = scene, application_logic, show

    def fileType(self, fileName: str) -> str:
        """Slicer's word for what the file holds, by its ending."""
        for file_type, suffixes in _SUFFIXES.items():
            if fileName.lower().endswith(suffixes):
                return file_type
        return "VolumeFile" if not Path(fileName).suffix else _no_reader(fileName)

    def fileWriterFileType(self, node, _format: str = "") -> str:
        """The file type that can hold the node."""
        for class_name, file_type in _WRITERS.items():
            if node.IsA(class_name):
                return file_type
        raise NotImplementedError(f"The stand-in host cannot save a {node.GetClassName()}.")

    def loadNodes(self, fileType: str, properties: dict, loadedNodes=None, userMessages=None) -> bool:
        """Read a file into the scene; False (and a message) if it cannot be read."""
        readers = {
            "VolumeFile": self._load_volume,
            "SegmentationFile": self._load_segmentation,
            "SceneFile": self._load_scene,
        }
        if fileType not in readers:
            raise NotImplementedError(f"The stand-in host has no reader for {fileType}.")
        node = readers[fileType](properties["fileName"], properties)
        if node is None:
            if userMessages is not None:
                userMessages.AddMessage(vtk.vtkCommand.ErrorEvent, f"Cannot read {properties['fileName']}")
            return False
        if loadedNodes is not None and node is not self._scene:
            loadedNodes.AddItem(node)
        return True

    def saveNodes(self, fileType: str, properties: dict, userMessages=None) -> bool:
        """Write a node, or the whole scene for ``SceneFile``."""
        file_name = str(properties["fileName"])
        if fileType == "SceneFile":
            return self._save_scene(file_name)
        node = self._scene.GetNodeByID(properties["nodeID"])
        if not node.GetStorageNode():
            node.AddDefaultStorageNode(file_name)
        storage = node.GetStorageNode()
        storage.SetFileName(file_name)
        if "useCompression" in properties:
            storage.SetUseCompression(bool(properties["useCompression"]))
        done = bool(storage.WriteData(node))
        if userMessages is not None:
            userMessages.AddMessages(storage.GetUserMessages())
        return done

    def _load_volume(self, file_name: str, properties: dict):
        logic = self._application_logic.GetModuleLogic("Volumes")
        options = sum(bit for name, bit in _VOLUME_OPTIONS.items() if properties.get(name))
        node = logic.AddArchetypeVolume(file_name, properties.get("name") or _base_name(file_name), options)
        if node is not None and properties.get("show", True):
            self._show(node)
        return node

    def _load_segmentation(self, file_name: str, properties: dict):
        logic = self._application_logic.GetModuleLogic("Segmentations")
        name = properties.get("name", "") or _base_name(file_name)
        return logic.LoadSegmentationFromFile(file_name, properties.get("autoOpacities", True), name)

    def _load_scene(self, file_name: str, properties: dict):
        if properties.get("clear", False):
            self._scene.Clear(0)
        if file_name.lower().endswith(".mrb"):
            done = self._scene.ReadFromMRB(file_name, False)
        else:
            self._scene.SetURL(file_name)
            done = self._scene.Import()
        return self._scene if done else None

    def _save_scene(self, file_name: str) -> bool:
        self._scene.SetURL(file_name)
        if file_name.lower().endswith(".mrb"):
            return bool(self._scene.WriteToMRB(file_name))
        return bool(self._scene.Commit(file_name))


def _base_name(file_name: str) -> str:
    name = Path(file_name).name
    for suffixes in _SUFFIXES.values():
        for suffix in suffixes:
            if name.lower().endswith(suffix):
                return name[: -len(suffix)]
    return name


def _no_reader(file_name: str) -> str:
    raise NotImplementedError(f"The stand-in host knows no reader for {file_name}.")
