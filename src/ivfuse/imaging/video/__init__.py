"""Moving pictures: sources, pairing by time, steady thermal windows, writers. PyAV is imported at the edges only."""
