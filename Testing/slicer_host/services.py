"""Stand-ins for Python modules of Slicer and its extensions that would install, download or translate.

They record what they were asked and do nothing else. Signatures are those of Slicer 5.12/5.13 and of the PyTorch
extension (peers_and_conventions.md, sections 3.3 to 3.5); an argument that is not theirs raises TypeError.
"""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field


@dataclass
class Services:
    """What was asked, and what the world is like.

    Attributes:
        calls: ``(function, arguments)`` in order.
        installed: Names of Python packages that ``slicer.packaging.pip_check`` finds; torch is there, as it really is.
        torch: What PyTorchUtils gives as torch, or None for *not installed*.
        installable_torch: What ``installTorch`` gives; None as if the user had declined.
        failure: What every installation raises, or None.
        samples: Keyword arguments of each registered sample data source.
    """

    calls: list[tuple[str, dict]] = field(default_factory=list)
    installed: set[str] = field(default_factory=lambda: {"torch"})
    torch: object = None
    installable_torch: object = None
    failure: Exception | None = None
    samples: list[dict] = field(default_factory=list)

    def record(self, function: str, **arguments) -> None:
        """Remember a call."""
        self.calls.append((function, arguments))

    def install(self, packages: list[str]) -> None:
        """Have packages from now on, or fail."""
        if self.failure is not None:
            raise self.failure
        self.installed.update(_name(package) for package in packages)


def packaging(services: Services) -> types.ModuleType:
    """The module ``slicer.packaging``."""

    def pip_check(req) -> bool:
        wanted = req if isinstance(req, list) else [req]
        return all(_name(item) in services.installed for item in wanted)

    def pip_ensure(requirements, constraints=None, skip_packages=None, prompt_install=True, prompt_restart=True,
                   requester=None, skip_in_testing=True, show_progress=True):  # fmt: skip
        services.record("pip_ensure", requirements=requirements, requester=requester)
        services.install(requirements if isinstance(requirements, list) else [requirements])

    def pip_install(requirements, constraints=None, no_deps_requirements=None, skip_packages=None, blocking=True,
                    show_progress=True, requester=None, logCallback=None, completedCallback=None):  # fmt: skip
        services.record("pip_install", requirements=requirements, requester=requester)
        services.install(requirements if isinstance(requirements, list) else requirements.split())

    def load_requirements(path) -> list[str]:
        from pathlib import Path

        lines = (line.strip() for line in Path(path).read_text().splitlines())
        return [line for line in lines if line and not line.startswith(("#", "-"))]

    return _module("slicer.packaging", pip_check, pip_ensure, pip_install, load_requirements)


def pytorch_utils(services: Services) -> types.ModuleType:
    """The module ``PyTorchUtils`` of the PyTorch extension."""

    class PyTorchUtilsLogic:
        @property
        def torch(self):
            return self.importTorch() if self.torchInstalled() else self.installTorch()

        @property
        def cuda(self):
            return services.torch.version.cuda

        @staticmethod
        def torchInstalled() -> bool:
            return services.torch is not None

        @staticmethod
        def getCompatibleComputationBackends(
            forceComputationBackend=None,
            torchVersionRequirement=None,
        ) -> list[str]:
            return [forceComputationBackend or "cpu"]

        def importTorch(self):
            return services.torch

        def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None,
                         torchvisionVersionRequirement=None):  # fmt: skip
            services.record("installTorch", askConfirmation=askConfirmation,
                            forceComputationBackend=forceComputationBackend,
                            torchVersionRequirement=torchVersionRequirement)  # fmt: skip
            services.install(["torch"] if services.installable_torch else [])
            services.torch = services.installable_torch
            return services.torch

        def uninstallTorch(self, askConfirmation=False, forceComputationBackend=None) -> None:
            services.record("uninstallTorch", askConfirmation=askConfirmation)
            services.torch = None

        def getDevice(self) -> str:
            return "cpu"

    return _module("PyTorchUtils", PyTorchUtilsLogic)


def sample_data(services: Services) -> types.ModuleType:
    """The module ``SampleData``."""

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(category="Custom", sampleName=None, uris=None, fileNames=None,
                                           nodeNames=None, customDownloader=None, thumbnailFileName=None,
                                           loadFileTypes=None, loadFiles=None, loadFileProperties=None, checksums=None,
                                           loadFileType=None):  # fmt: skip
            if uris is None:
                raise TypeError("object of type 'NoneType' has no len()")  # what Slicer says
            services.samples.append({name: value for name, value in locals().items() if name != "services"})

    return _module("SampleData", SampleDataLogic)


def i18n() -> types.ModuleType:
    """The module ``slicer.i18n``: real translation by Qt, in the context of the calling file."""

    def translate(context: str, text: str) -> str:
        import slicer

        return slicer.app.translate(context, text)

    def tr(text: str) -> str:
        from pathlib import Path

        if not isinstance(text, str) or not text:
            raise TypeError(f"_() takes a text that is not empty, not {text!r}.")
        return translate(Path(sys._getframe(1).f_code.co_filename).stem, text)

    return _module("slicer.i18n", translate, tr)


def _name(requirement) -> str:
    text = str(requirement)
    return text[: next((i for i, letter in enumerate(text) if letter in "<>=!~[ ;"), len(text))]


def _module(name: str, *members) -> types.ModuleType:
    module = types.ModuleType(name, "Stand-in, see slicer_host.services")
    for member in members:
        setattr(module, member.__name__, member)
    return module
