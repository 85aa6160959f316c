"""Bytes on disk become a ``ParsedDocument``: told by content, read within limits, in a process of its own.

``parse_file`` does the work where it is called; ``Sandbox`` does the same in a child process that may die of a hostile
document without taking anything along. Import both from their modules: the child must not load the sandbox, and the
parent must not load the parsers.
"""
