"""Training: networks, losses, data, stages, export. The only room that imports torch."""
