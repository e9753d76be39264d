"""One encoder, a decoder for each data set (Med3D)."""
