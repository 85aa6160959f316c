"""Clients of services that speak OpenAI's HTTP interface, whoever runs them."""
