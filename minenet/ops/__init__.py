"""What is done to a batch on the device before the model sees it."""
