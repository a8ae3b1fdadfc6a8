"""Made-up bodies as test instruments."""
