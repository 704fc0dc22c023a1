"""What a trained model found in an image: segments, and how other programs represent them."""
