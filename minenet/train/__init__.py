"""Training: how arrays lie on devices, one step, the loop around it."""
