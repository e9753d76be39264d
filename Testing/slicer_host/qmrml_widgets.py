"""Stand-ins for Slicer's MRML widgets: Python on real Qt and a real scene."""

from __future__ import annotations

from typing import ClassVar

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from slicer_host.pythonqt import stand_in

Property, Signal = QtCore.Property, QtCore.Signal
_SCENE = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}


class _Watch:
    """Observers on a VTK object that end with the widget.

    Args:
        widget: The widget.
    """

    def __init__(self, widget: QtWidgets.QWidget) -> None:
        self._watched, self._tags = None, []
        widget.destroyed.connect(self.stop)

    def start(self, watched, events: tuple, function) -> None:
        """Call the function at these events."""
        self._watched, self._tags = watched, [watched.AddObserver(event, function) for event in events]

    def stop(self, *_arguments: object) -> None:
        """Observe no longer."""
        for tag in self._tags:
            self._watched.RemoveObserver(tag)
        self._watched, self._tags = None, []


def _with_node(function):
    """An observer of a scene whose function gets the node of the event, too."""

    def observer(scene, event: str, node=None) -> None:
        function(scene, event, node)

    observer.CallDataType = vtk.VTK_OBJECT
    return observer


@stand_in
class qMRMLWidget(QtWidgets.QWidget):
    """A widget that knows the scene: the top of a module panel."""

    SIGNALS = _SCENE
    mrmlSceneChanged = Signal(object)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        """The scene, or None."""
        return self._scene

    def setMRMLScene(self, scene) -> None:
        """Set the scene and tell the children that are connected in the .ui file."""
        if scene is not None and not scene.IsA("vtkMRMLScene"):
            raise TypeError(f"setMRMLScene takes a vtkMRMLScene, not a {scene.GetClassName()}.")
        if scene is self._scene:
            return
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


@stand_in
class qMRMLSortFilterProxyModel(QtCore.QObject):
    """Which nodes a box leaves out; only by their ID here."""

    def __init__(self, box: QtWidgets.QWidget) -> None:
        super().__init__(box)
        self._box, self._hidden = box, []

    def _set_hidden(self, ids: list) -> None:
        self._hidden = list(ids)
        self._box._fill()

    hiddenNodeIDs = Property("QStringList", lambda self: tuple(self._hidden), _set_hidden)


@stand_in
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Choose a node of some classes; live on the scene.

    As in Slicer, a new node is not chosen by itself, unless the box offers nothing else (no *None*, no actions); when
    the chosen node is removed, another one takes its place. Hidden nodes are left out unless ``showHidden``.
    """

    SIGNALS: ClassVar = {
        **_SCENE,
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "currentNodeIsChosen",
        "currentNodeIDChanged(QString)": "currentNodeIDChanged",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
        "nodeAddedByUserAction(vtkMRMLNode*)": "nodeAddedByUserAction",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
    }
    mrmlSceneChanged, currentNodeChanged, currentNodeIsChosen = Signal(object), Signal(object), Signal(bool)
    currentNodeIDChanged, nodeActivated = Signal(str), Signal(object)
    nodeAddedByUserAction, nodeAdded = Signal(object), Signal(object)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._scene, self._node_id, self._listed, self._attributes = None, "", [], {}
        self._watch = _Watch(self)
        self._flags = {"noneEnabled": False, "addEnabled": True, "removeEnabled": True, "renameEnabled": False}
        self._flags |= {"editEnabled": False, "showHidden": False, "showChildNodeTypes": True}
        self._flags |= {"selectNodeUponCreation": True}
        self._types, self._base_name, self._none_display = [], "", "None"
        self._proxy = qMRMLSortFilterProxyModel(self)
        self._box = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.activated.connect(self._activated)

    def mrmlScene(self):
        """The scene, or None."""
        return self._scene

    def setMRMLScene(self, scene) -> None:
        """Follow another scene."""
        if scene is self._scene:
            return
        self._scene = scene
        self._watch.stop()
        if scene is not None:
            events = slicer.vtkMRMLScene
            watched = (events.NodeAddedEvent, events.NodeRemovedEvent, events.EndImportEvent, events.EndCloseEvent)
            self._watch.start(scene, watched, _with_node(self._scene_changed))
        self.mrmlSceneChanged.emit(scene)
        self._fill()

    def currentNode(self):
        """The chosen node, or None."""
        return self._scene.GetNodeByID(self._node_id) if self._scene is not None and self._node_id else None

    def setCurrentNode(self, node) -> None:
        """Choose a node, by itself or by its ID; None, or a node that does not suit, chooses none."""
        self.setCurrentNodeID(node if isinstance(node, str) else node.GetID() if node is not None else "")

    def setCurrentNodeID(self, node_id: str) -> None:
        """Choose a node by its ID; an unknown ID chooses none, even without a *None* entry."""
        node_id = node_id if node_id in self._ids() else ""
        changed = node_id != self._node_id
        self._node_id = node_id
        self._box.setCurrentIndex(self._box.findData(node_id))
        if changed:
            node = self.currentNode()
            self.currentNodeChanged.emit(node)
            self.currentNodeIsChosen.emit(node is not None)
            self.currentNodeIDChanged.emit(node_id)

    def addNode(self, class_name: str = ""):
        """Make a node as the user would with *Create new*; returns it."""
        if not self.addEnabled:
            raise RuntimeError(f"{self.objectName} does not offer to create nodes.")
        class_name = class_name or self._types[0]
        name = self._scene.GenerateUniqueName(
            self._base_name or self._scene.CreateNodeByClass(class_name).GetNodeTagName()
        )
        node = self._scene.AddNewNodeByClass(class_name, name)
        for key, value in self._attributes.get(class_name, {}).items():
            node.SetAttribute(key, value)
        self._fill()
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAdded.emit(node)
        self.nodeAddedByUserAction.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        """Remove the chosen node from the scene."""
        if not self.removeEnabled:
            raise RuntimeError(f"{self.objectName} does not offer to remove nodes.")
        self._scene.RemoveNode(self.currentNode())

    def addAttribute(self, class_name: str, key: str, value: str | None = None) -> None:
        """Offer only nodes of the class that have the attribute (with that value)."""
        self._attributes.setdefault(class_name, {})[key] = value
        self._fill()

    def sortFilterProxyModel(self):
        """What leaves nodes out."""
        return self._proxy

    def nodeCount(self) -> int:
        """Number of nodes offered."""
        return len(self._nodes())

    def nodes(self) -> list:
        """The nodes offered."""
        return self._nodes()

    def _nodes(self) -> list:
        if self._scene is None:
            return []
        nodes = [self._scene.GetNthNode(i) for i in range(self._scene.GetNumberOfNodes())]
        return [node for node in nodes if self._suits(node)]

    def _suits(self, node) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if node.GetID() in self._proxy.property("hiddenNodeIDs"):
            return False
        fits = node.IsA if self.showChildNodeTypes else node.GetClassName().__eq__
        for class_name in self._types:
            if fits(class_name):
                wanted = self._attributes.get(class_name, {})
                return all(
                    node.GetAttribute(k) == v if v is not None else node.GetAttribute(k) for k, v in wanted.items()
                )
        return False

    def _scene_changed(self, scene, event: str, node) -> None:
        if node is not None and not any(node.IsA(name) for name in self._types):
            return  # as qMRMLSceneModel, which looks at the node that comes or goes only
        if not scene.IsBatchProcessing() or event in ("EndImportEvent", "EndCloseEvent"):
            self._fill()

    def _fill(self) -> None:
        before, ids = self._listed, self._ids()
        self._listed = ids
        self._box.clear()
        if self.noneEnabled:
            self._box.addItem(self._none_display, "")
        for node in self._nodes():
            self._box.addItem(node.GetName() or "", node.GetID())
        if self.addEnabled:
            self._box.addItem("Create new ...", "+")
        self.setCurrentNodeID(self._successor(before, ids))

    def _successor(self, before: list[str], ids: list[str]) -> str:
        """ID of the node to choose now that other nodes are listed; the rules of QComboBox, which qMRML builds on."""
        if self._node_id in ids:
            return self._node_id
        if self._node_id in before and ids:  # it was removed: the one that took its place, else the last
            return ids[min(before.index(self._node_id), len(ids) - 1)]
        actions = self.addEnabled or self.removeEnabled or self.renameEnabled or self.editEnabled
        if not before and ids and not self.noneEnabled and not actions:  # the first rows in an empty box
            return ids[0]
        return ""

    def _ids(self) -> list[str]:
        return [node.GetID() for node in self._nodes()]

    def _activated(self, row: int) -> None:
        data = self._box.itemData(row)
        if data == "+":
            self.addNode()
        else:
            self.setCurrentNodeID(data)
        self.nodeActivated.emit(self.currentNode())

    def _set_types(self, types: list) -> None:
        self._types = list(types)
        self._fill()

    def _set_flag(self, name: str, value: bool) -> None:
        self._flags[name] = bool(value)
        self._fill()

    def _set_size_policy(self, policy: int) -> None:
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy(policy))

    def _set_base_name(self, name: str) -> None:
        self._base_name = name

    def _set_none_display(self, text: str) -> None:
        self._none_display = text
        self._fill()

    nodeTypes = Property("QStringList", lambda self: tuple(self._types), _set_types)
    currentNodeID = Property(str, lambda self: self._node_id, setCurrentNodeID)
    baseName = Property(str, lambda self: self._base_name, _set_base_name)
    sizeAdjustPolicy = Property(int, lambda self: int(self._box.sizeAdjustPolicy), _set_size_policy)
    noneDisplay = Property(str, lambda self: self._none_display, _set_none_display)
    noneEnabled = Property(bool, lambda s: s._flags["noneEnabled"], lambda s, v: s._set_flag("noneEnabled", v))
    addEnabled = Property(bool, lambda s: s._flags["addEnabled"], lambda s, v: s._set_flag("addEnabled", v))
    removeEnabled = Property(bool, lambda s: s._flags["removeEnabled"], lambda s, v: s._set_flag("removeEnabled", v))
    renameEnabled = Property(bool, lambda s: s._flags["renameEnabled"], lambda s, v: s._set_flag("renameEnabled", v))
    editEnabled = Property(bool, lambda s: s._flags["editEnabled"], lambda s, v: s._set_flag("editEnabled", v))
    showHidden = Property(bool, lambda s: s._flags["showHidden"], lambda s, v: s._set_flag("showHidden", v))
    showChildNodeTypes = Property(
        bool, lambda s: s._flags["showChildNodeTypes"], lambda s, v: s._set_flag("showChildNodeTypes", v)
    )
    selectNodeUponCreation = Property(
        bool, lambda s: s._flags["selectNodeUponCreation"], lambda s, v: s._set_flag("selectNodeUponCreation", v)
    )


@stand_in
class qMRMLSegmentationShow3DButton(QtWidgets.QPushButton):
    """Shows a segmentation in 3D: makes the real closed surface and its display."""

    def __init__(self, parent=None) -> None:
        super().__init__("Show 3D", parent)
        self._node = None
        self.setCheckable(True)
        self.setEnabled(False)
        self.clicked.connect(self._clicked)

    def segmentationNode(self):
        """The segmentation, or None."""
        return self._node

    def setSegmentationNode(self, node) -> None:
        """Follow another segmentation."""
        if node is not None and not node.IsA("vtkMRMLSegmentationNode"):
            raise TypeError(f"setSegmentationNode takes a vtkMRMLSegmentationNode, not a {node.GetClassName()}.")
        self._node = node
        self.setEnabled(node is not None)
        name = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        self.setChecked(node is not None and node.GetSegmentation().ContainsRepresentation(name))

    def _clicked(self, on: bool) -> None:
        if on:
            self._node.CreateClosedSurfaceRepresentation()
        else:
            self._node.RemoveClosedSurfaceRepresentation()


@stand_in
class qMRMLSegmentsTableView(QtWidgets.QTableWidget):
    """Lists the segments with name and colour; read only here."""

    SIGNALS: ClassVar = {**_SCENE, "selectionChanged(QItemSelection,QItemSelection)": "itemSelectionChanged"}
    mrmlSceneChanged = Signal(object)

    def __init__(self, parent=None) -> None:
        super().__init__(0, 2, parent)
        self._node, self._ids, self._scene = None, [], None
        self._watch = _Watch(self)
        self.setHorizontalHeaderLabels(["Color", "Name"])
        self.horizontalHeader().setStretchLastSection(True)
        self.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)

    def setMRMLScene(self, scene) -> None:
        """Set the scene."""
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def segmentationNode(self):
        """The segmentation, or None."""
        return self._node

    def setSegmentationNode(self, node) -> None:
        """Follow another segmentation."""
        self._watch.stop()
        self._node = node
        if node is not None:
            self._watch.start(node, (vtk.vtkCommand.AnyEvent,), lambda *_: self._fill())
        self._fill()

    def selectedSegmentIDs(self) -> list[str]:
        """IDs of the selected rows."""
        return [self._ids[row] for row in sorted({index.row() for index in self.selectedIndexes()})]

    def setSelectedSegmentIDs(self, ids: list) -> None:
        """Select the rows of these segments."""
        self.clearSelection()
        for segment_id in ids:
            self.selectRow(self._ids.index(segment_id))

    def _fill(self) -> None:
        segmentation = self._node.GetSegmentation() if self._node is not None else None
        ids = list(segmentation.GetSegmentIDs()) if segmentation is not None else []
        if ids != self._ids or self.rowCount != len(ids):
            self.setRowCount(len(ids))
        self._ids = ids
        for row, segment_id in enumerate(ids):
            segment = segmentation.GetSegment(segment_id)
            colour = QtWidgets.QTableWidgetItem()
            colour.setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
            self.setItem(row, 0, colour)
            self.setItem(row, 1, QtWidgets.QTableWidgetItem(segment.GetName()))


CLASSES = {
    cls.__name__: cls for cls in (qMRMLWidget, qMRMLNodeComboBox, qMRMLSegmentationShow3DButton, qMRMLSegmentsTableView)
}
