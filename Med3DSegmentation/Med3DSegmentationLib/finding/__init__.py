"""What classifiers say of points that the user placed, and what detectors find."""
