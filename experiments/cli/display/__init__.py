"""What a terminal shows: progress, tables, the bill."""
