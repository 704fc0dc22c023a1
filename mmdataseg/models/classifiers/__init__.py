"""Class logits of class embeddings: by text embeddings, or by learned vectors."""

from mmdataseg.models.classifiers.learned_classifier import LearnedClassifier
from mmdataseg.models.classifiers.text_classifier import TextClassifier

__all__ = [
    "LearnedClassifier",
    "TextClassifier",
]
