"""Programs that measure RagIndex: ``python -m benchmarks run``. They tell figures and assert none."""
