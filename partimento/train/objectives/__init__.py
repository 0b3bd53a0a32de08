"""What is learned: the loss and the data of each kind of training, and nothing of the loop."""
