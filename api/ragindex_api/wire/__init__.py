"""What goes over the wire. Requests are closed: an unknown field is an error that names it. Responses may grow."""
