"""A triple (infrared, visible, fused) becomes numbers: the metrics of the field and their conventions."""
