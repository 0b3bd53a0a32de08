"""The paper's Table 2: its rows with the models at hand, and the table for people."""
