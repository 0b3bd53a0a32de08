"""Notes -> tokens: the vocabulary, its grammar, the tokeniser and the augmentation."""
