"""Self-contained HTML pages and their sections."""
