"""Records that lie in columns, as Arrow record batches. Only what uses them imports pyarrow."""
