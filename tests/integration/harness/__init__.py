"""What the integration tests are made of: private namespaces, real programs as objects, waiting with deadlines."""
