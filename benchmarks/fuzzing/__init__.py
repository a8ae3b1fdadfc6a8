"""Inputs that nobody thought of, for every door through which something comes in."""
