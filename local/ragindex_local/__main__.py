"""``python -m ragindex_local`` is ``ragindex``."""

from ragindex_local.cli import main

if __name__ == "__main__":
    main()
