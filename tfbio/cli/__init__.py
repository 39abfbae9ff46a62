"""The commands: flags and nothing else."""
