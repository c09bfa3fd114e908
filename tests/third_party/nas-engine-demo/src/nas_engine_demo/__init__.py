"""An execution engine of somebody else."""
