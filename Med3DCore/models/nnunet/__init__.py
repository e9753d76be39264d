"""Models of nnU-Net v2 become packages of ours: its folders are read, its checkpoints never run."""
