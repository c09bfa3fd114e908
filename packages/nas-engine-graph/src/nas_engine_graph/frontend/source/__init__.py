"""What the user's source says: its trees, names, methods and modules."""
