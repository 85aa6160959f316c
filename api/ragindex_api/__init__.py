"""The HTTP service: search, answers with checked citations, documents and their states."""
