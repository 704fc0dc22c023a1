"""Class names and what a text encoder makes of them."""
