"""Six batches of a data set that two workers share, as a program: threads of other tests do not survive a fork.

python -m tests.corpus.loaders.worker_rows STORE rows.npy
"""

import sys
from itertools import islice

import numpy as np
from torch.utils.data import DataLoader

from partimento import StoreDataset, Vocabulary

if __name__ == "__main__":
    store, out = sys.argv[1:]
    loader = DataLoader(
        StoreDataset(store, Vocabulary.piano(), length=48, batch=4, seed=3), batch_size=2, num_workers=2
    )
    np.save(out, np.stack([batch.numpy() for batch in islice(loader, 6)]))
