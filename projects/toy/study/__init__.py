"""The toy study: its rows, its findings and its page. The running and the counting is in projects/study."""
