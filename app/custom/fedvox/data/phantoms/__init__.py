"""Procedural abdomens written as real NIfTI: a test instrument, not evidence about patients."""
