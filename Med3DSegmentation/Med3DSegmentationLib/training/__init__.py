"""Training from the scene: cases, what their segments mean, the request and its curve."""
