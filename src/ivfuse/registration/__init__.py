"""Where a thermal picture lies on a visible one: found from pictures or points, kept as a rig, applied."""
