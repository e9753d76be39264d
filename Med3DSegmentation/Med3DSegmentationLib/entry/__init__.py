"""What Slicer finds in Med3DSegmentation.py: the module or, in a Slicer that is too old, what is needed."""
