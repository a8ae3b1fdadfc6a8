"""What one site keeps: its file, key, prepared data and quarantine."""
