"""The networks, pure torch modules."""
