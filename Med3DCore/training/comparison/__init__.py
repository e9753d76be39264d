"""Compare starts of a training: which is better, which is faster, which needs fewer labelled patients."""
