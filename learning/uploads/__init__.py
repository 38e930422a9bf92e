"""Recipe `uploaded`: models trained elsewhere, checked before Keras ever sees them."""
