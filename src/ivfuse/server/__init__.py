"""Web page and HTTP API; images are processed in worker processes. Imported by `cli` only."""
