"""The command line: see :mod:`pipeline.commands`."""

from pipeline.commands.main import app, main

__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
