"""Remote files: `scheme://` paths, through fsspec (extra `remote`).

Only the parent opens such files. It reads a source's files block by block in threads and sends the records' bytes to
the workers, so no connection crosses a fork and no credentials leave the parent. What a sink writes is collected here,
in a file or a folder, and each file is put in its place whole when the run is complete.
"""
