"""The service: gRPC API, jobs, labels and the artifact store."""
