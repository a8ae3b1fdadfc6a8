"""Looks at every case of a site before anybody trains on it."""
