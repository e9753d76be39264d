"""Models of MONAI's Auto3DSeg become packages of ours: their configuration is read, nothing of it is run."""
