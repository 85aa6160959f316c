"""What the operator is in a Kubernetes cluster: the same step as on a laptop, told by watches what to look at."""
