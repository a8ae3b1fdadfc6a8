"""Weights that the server averages without reading them; nothing here knows FLARE."""
