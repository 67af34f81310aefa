"""Runs over many pairs on a cluster: sources at any URL, shards that are finished exactly once, Ray."""
