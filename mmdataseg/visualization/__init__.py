"""Pictures of segments and of learning curves."""
