"""Training of learned methods: networks, losses, data, stages and export. Only this room imports torch."""
