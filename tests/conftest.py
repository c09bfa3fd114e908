"""What stands below ``third_party`` is installed and tested by ``test_plugins.py``."""

collect_ignore = ["third_party"]
