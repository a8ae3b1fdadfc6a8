"""Cases: found, split, labelled, prepared once, read patch by patch."""
