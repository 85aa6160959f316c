"""What a listing of a source means for the catalogue: the difference, and when to distrust it."""
