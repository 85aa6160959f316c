"""One module a noun. An endpoint reads, calls one function, and shapes the reply."""
