"""Studies: several configs, several seeds each, one page of results."""
