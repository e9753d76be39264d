"""The tab Find."""
