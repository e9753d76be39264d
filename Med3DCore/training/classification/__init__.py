"""A class for a point of a scan: benign or malignant nodules."""
