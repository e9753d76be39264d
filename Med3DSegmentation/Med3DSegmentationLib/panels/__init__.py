"""The module's panels, one a tab; each a small class with injected collaborators, see :mod:`.services`."""
