"""No dialogue ever waits for somebody: messages are recorded, questions get the answer the test prepared.

A question without a prepared answer fails the test, because in Slicer somebody would have had to answer it.
"""

from __future__ import annotations

import types
from collections import deque
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Message:
    """One box that Slicer would have shown.

    Attributes:
        kind: ``"information"``, ``"warning"``, ``"critical"``, ``"question"``, or the name of a file dialogue.
        text: What it says.
        title: Its window title.
        detail: The text behind *Show details*.
    """

    kind: str
    text: str = ""
    title: str = ""
    detail: str = ""


@dataclass
class Dialogs:
    """What was shown, and what will be answered.

    Attributes:
        shown: Every message and question, oldest first.
    """

    shown: list[Message] = field(default_factory=list)
    _answers: deque = field(default_factory=deque)

    def answer(self, *values: Any) -> None:
        """Prepare answers, in the order of the questions.

        Args:
            values: For a message box a ``qt.QMessageBox`` button; for a file or input dialogue what it returns
                (``""`` for Cancel); for another dialogue's ``exec_()`` its result.
        """
        self._answers.extend(values)

    def texts(self, kind: str | None = None) -> list[str]:
        """Texts of the messages shown, of one kind or all."""
        return [message.text for message in self.shown if kind in (None, message.kind)]

    def take(self, message: Message) -> Any:
        """Record a question and give its answer.

        Raises:
            AssertionError: No answer was prepared.
        """
        self.shown.append(message)
        if not self._answers:
            raise AssertionError(f"Slicer would wait for an answer to: {message}. Prepare it with dialogs.answer(...).")
        return self._answers.popleft()

    def tell(self, message: Message) -> None:
        """Record a message that needs no answer."""
        self.shown.append(message)

    def clear(self) -> None:
        """Forget messages and answers."""
        self.shown.clear()
        self._answers.clear()


DIALOGS = Dialogs()
_KINDS = {0: "information", 1: "information", 2: "warning", 3: "critical", 4: "question"}


def install(qt: types.ModuleType) -> None:
    """Replace whatever would block: static dialogues and ``exec_()``.

    Args:
        qt: The module of :mod:`slicer_host.pythonqt`.
    """
    for name in ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"):
        setattr(qt.QFileDialog, name, staticmethod(_asking(name, 1)))
    for name in ("getText", "getInt", "getDouble", "getItem", "getMultiLineText"):
        setattr(qt.QInputDialog, name, staticmethod(_asking(name, 1)))
    qt.QMessageBox.question = staticmethod(_box("question"))
    for name in ("information", "warning", "critical"):
        setattr(qt.QMessageBox, name, staticmethod(_box(name)))
    for cls in (qt.QDialog, qt.QMessageBox, qt.QFileDialog, qt.QInputDialog, qt.QProgressDialog):
        cls.exec = cls.exec_ = _exec


def _asking(name: str, position: int):
    def ask(*arguments, **_options):
        text = arguments[position] if len(arguments) > position else ""
        return DIALOGS.take(Message(name, text))

    return ask


def _box(kind: str):
    def show(_parent, title: str, text: str, buttons=0x400, *_more):
        return _show(Message(kind, text, title), int(buttons))

    return show


def _exec(dialog) -> int:
    """Of a message box: recorded; only a choice between buttons needs an answer."""
    if not dialog.inherits("QMessageBox"):
        return DIALOGS.take(Message(dialog.className(), "", dialog.windowTitle))
    message = Message(_KINDS[int(dialog.icon)], dialog.text, dialog.windowTitle, dialog.detailedText)
    return _show(message, int(dialog.standardButtons))


def _show(message: Message, buttons: int) -> int:
    if buttons.bit_count() > 1:
        return DIALOGS.take(message)
    DIALOGS.tell(message)
    return buttons or 0x400  # QMessageBox.Ok
