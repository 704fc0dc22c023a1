"""A page in the browser: drop an image, type words, see what a trained model finds."""
