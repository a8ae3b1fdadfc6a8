"""What a run puts on record: its files, written and read."""
