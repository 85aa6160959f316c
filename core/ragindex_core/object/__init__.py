"""The RagIndex object: what a person writes (spec), what RagIndex answers (status), how both are read."""
