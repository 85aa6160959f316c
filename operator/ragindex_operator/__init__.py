"""The one that carries out a plan: DDL, index builds, promotions. Kubernetes joins it; a laptop uses the same steps."""
