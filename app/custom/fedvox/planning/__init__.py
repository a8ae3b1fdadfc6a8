"""A job's settings from the sites' data."""
