"""Moving images: sources, pairing by time, steady thermal windows, writers; PyAV at the edges only."""
