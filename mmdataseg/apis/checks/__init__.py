"""The command ``checks``: report what is installed, found and working on this machine, for a bug report."""
