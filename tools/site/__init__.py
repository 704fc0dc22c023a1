"""What the documentation site needs: pages beside docs/, the table of configs, the drawings of the concepts."""
