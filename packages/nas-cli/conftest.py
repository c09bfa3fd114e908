"""``nas new-engine`` copies the template; ``tests/test_plugins.py`` tests the copy."""

collect_ignore = ["src/nas_cli/template"]
