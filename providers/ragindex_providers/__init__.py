"""The only clients of the outside world: embedders, generators and sources behind the ports of the core."""
