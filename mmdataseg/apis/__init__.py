"""What users call: training and testing from the command line."""
