"""Start-up kits: built, completed, renewed."""
