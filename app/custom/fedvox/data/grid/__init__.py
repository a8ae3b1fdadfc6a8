"""Any scanner's grid to the job's grid and back."""
