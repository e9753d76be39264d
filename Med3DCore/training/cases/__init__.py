"""What to learn from: cases, their labels, their arrays on a network's grid, who is held out."""
