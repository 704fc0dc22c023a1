"""What is installed, what is found and what runs on this machine: the text for a bug report."""
