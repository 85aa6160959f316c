"""What is measured. Each module has ``opened``; only its own environment can import it."""
