"""Made-up versions of public data sets: the same folders, file names and values, and something to find in them."""
