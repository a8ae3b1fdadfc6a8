"""Faults against a live federation on this machine, one function each."""
