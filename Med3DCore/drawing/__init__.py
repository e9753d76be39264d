"""Pictures of scans and results, and charts of what was measured."""
