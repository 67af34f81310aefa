"""Parts of ``benchmarks/hostile.py``: seeds, mutations, what is run on them, and how it is supervised."""
