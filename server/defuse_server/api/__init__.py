"""The gRPC API: requests in, resources out. It knows neither Redis keys nor models."""
