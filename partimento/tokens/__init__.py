"""Notes -> ids: the vocabulary, its grammar, the tokeniser and the augmentation."""
