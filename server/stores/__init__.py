"""What remembers: run stores (SQL, memory) and the artifact store (files). The ports are in `interface`."""
