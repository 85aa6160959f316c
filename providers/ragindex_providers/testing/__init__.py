"""Stand-ins for the services that providers call: real sockets, no real models."""
