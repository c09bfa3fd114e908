"""Modules that stay whole: the constructor calls that make them."""
