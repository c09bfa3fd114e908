"""The module tree as graphs, and what of it is one."""
