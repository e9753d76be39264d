"""From a scan to what a network of nnU-Net sees: its crop, its normalisation, its resampling, number for number."""
