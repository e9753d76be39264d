"""One request a file; see :mod:`Med3DCore.worker.registry`."""
