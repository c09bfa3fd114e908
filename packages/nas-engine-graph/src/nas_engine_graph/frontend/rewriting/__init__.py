"""Changes of the source before TorchScript reads it, so that it says what Python would do."""
