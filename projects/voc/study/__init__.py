"""The study on photographs: its rows, its data, its findings and its page."""
