"""RagIndex on one machine: embedded PostgreSQL, service, worker and reconciler under one command; the CLI."""
