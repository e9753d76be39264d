"""Tasks that the field measures models by: one file each, which says all that a result depends on."""
