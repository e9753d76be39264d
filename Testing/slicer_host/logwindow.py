"""What VTK and MRML complain about, kept for the tests instead of flooding the terminal."""

from __future__ import annotations

import vtk

# Said by every headless start, or by Slicer itself on a healthy day: no sign of a fault in the code under test.
_HARMLESS = (
    "bad X server connection",
    "no display properties are found",
    "Failed to initialize the X11 display",
)


class LogWindow:
    """Collects VTK's errors and warnings, process-wide, for as long as it lives.

    Attributes:
        errors: Texts of the errors since :meth:`clear`, harmless ones left out.
        warnings: The same for warnings.
    """

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self._window = vtk.vtkStringOutputWindow()
        self._window.AddObserver("ErrorEvent", _listener(self.errors))
        self._window.AddObserver("WarningEvent", _listener(self.warnings))

    def install(self) -> LogWindow:
        """Take VTK's messages; its coloured copy on stderr is switched off."""
        vtk.vtkOutputWindow.SetInstance(self._window)
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
        return self

    def clear(self) -> None:
        """Forget everything."""
        self.errors.clear()
        self.warnings.clear()

    def expect_clean(self, *, warnings: bool = False) -> None:
        """Fail the test if VTK or MRML reported an error.

        Args:
            warnings: Warnings count as well.

        Raises:
            AssertionError: With the texts.
        """
        found = self.errors + (self.warnings if warnings else [])
        if found:
            raise AssertionError("VTK or MRML complained:\n" + "\n".join(text.strip() for text in found))


def _listener(texts: list[str]):
    def listen(_caller: object, _event: str, text: str) -> None:
        if not any(part in text for part in _HARMLESS):
            texts.append(text)

    listen.CallDataType = vtk.VTK_STRING
    return listen
