"""The only SQL of RagIndex: catalogue, revisions, queue, search. Callers need no SQLAlchemy of their own."""
