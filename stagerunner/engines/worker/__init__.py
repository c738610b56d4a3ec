"""A worker without its pipes: a frame in, frames out. What every engine runs in its workers."""
