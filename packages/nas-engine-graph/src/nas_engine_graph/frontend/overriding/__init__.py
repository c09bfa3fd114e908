"""What classes override of PyTorch beside ``forward``: ``train``, loading, saving."""
