"""What users call: training, testing and prediction, from the command line or from Python."""
