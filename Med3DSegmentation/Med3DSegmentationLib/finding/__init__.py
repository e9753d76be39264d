"""What classifiers say of points that the user placed."""
