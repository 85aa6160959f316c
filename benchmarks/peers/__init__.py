"""RagIndex beside others: the same data, the same recall, the same machine, each at its own best documented use."""
