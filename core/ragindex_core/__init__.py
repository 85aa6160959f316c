"""The decisions of RagIndex, as pure functions over data: no I/O, no clock, no environment."""
