"""The training of a VAE whose reconstructions the classifier can read."""
