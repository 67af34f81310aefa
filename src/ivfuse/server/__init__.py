"""The web page and its API: a server that hands pictures to processes of its own; only `cli` imports it."""
