"""The graphs of TorchScript, node by node, as functions of the IR."""
