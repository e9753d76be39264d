"""Models that were imported from nnU-Net, run so that they answer as in nnU-Net."""
