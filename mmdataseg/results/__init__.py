"""The results of a trained model for an image: segments, pictures, and conversion to the formats of other programs."""
