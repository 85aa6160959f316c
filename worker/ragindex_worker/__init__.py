"""What ingestion runs: list a source, parse, chunk, embed, write. It never makes or drops a table."""
