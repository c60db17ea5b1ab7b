"""Speed and memory, each beside the peer in the same run."""
