"""What is drawn from a case for a step: where, how large, how changed."""
