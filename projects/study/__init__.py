"""Common parts of the projects' studies: several configs, several seeds each, one page of results."""
