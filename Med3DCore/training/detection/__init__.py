"""Boxes around lesions of any kind: universal lesion detection (papers.md B3.5)."""
