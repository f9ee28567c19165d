"""The HTTP face: routes by subject, views of the domain, problems for errors, and who may call."""
