"""Everything that is drawn: records, cases and predictions to pictures."""
