"""The report: one page about runs."""
