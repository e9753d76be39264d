"""The tab Preview."""
