"""Where a thermal image lies on a visible one: found from images or points, kept as a rig, applied."""
