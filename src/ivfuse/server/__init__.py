"""The web page and its API: a server that hands images to processes of its own; only `cli` imports it."""
