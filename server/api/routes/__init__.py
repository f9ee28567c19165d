"""Routes by subject. Each gets the running server's parts through `server.api.access.services`."""
