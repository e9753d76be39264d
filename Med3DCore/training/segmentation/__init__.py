"""The plain training of a segmentation model, stage by stage, and the package that comes of it."""
