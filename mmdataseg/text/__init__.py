"""Class names, and their embeddings by a text encoder."""
