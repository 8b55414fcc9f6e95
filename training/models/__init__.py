"""The networks: the interpolator, and the autoencoder with its integer hyper-decoder."""
