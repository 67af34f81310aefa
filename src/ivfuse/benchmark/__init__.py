"""Which method is best on these pairs, and at what cost: runs, scores, statistics, tables, a report."""
