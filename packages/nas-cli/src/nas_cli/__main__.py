"""``python -m nas_cli`` is the ``nas`` command."""

from nas_cli.main import main

if __name__ == "__main__":
    main()
