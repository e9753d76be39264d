"""Encoders that learn from 2D pictures: VDT's supervised pre-training (arXiv 2201.01426; papers.md B)."""
