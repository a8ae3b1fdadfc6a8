"""What the classes that a configuration names share during a run."""
