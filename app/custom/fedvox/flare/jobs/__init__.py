"""Job folders: exported, reviewed, carried along."""
