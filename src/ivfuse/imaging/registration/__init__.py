"""Where a thermal picture lies on a visible one: found from the pictures or from points, kept as a rig, applied."""
