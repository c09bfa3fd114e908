"""Small modules, one per construct, each with the inputs to try it on."""
