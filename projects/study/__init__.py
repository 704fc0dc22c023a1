"""What the studies of the projects have in common: several configs, several seeds each, one page of results."""
