"""How learning goes, whatever is learned: loop, optimizer, losses, checkpoints, recipe, start."""
