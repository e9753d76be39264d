"""Med3DCore: the engine of Med3D for 3D Slicer. Knows no Slicer and no Qt; imports torch only where it computes."""

__version__ = "0.1.0"
