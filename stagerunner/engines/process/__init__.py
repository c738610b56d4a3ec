"""The process engine: a parent, a fork server, workers, and the pipes between them.

              ┌─────────── parent ───────────┐
              │ source · window · loop · sink │◀══════ return pipe (duplex) ═════╗
              └──────────────┬───────────────┘                                   ║
                    one-way  ▼                                                   ║
                     worker: stage 1 ── one-way ──▶ worker: stage 2 ── … ──▶ worker: stage n
                             ▲                              ▲                    ▲
                             └────────── forked by the fork server ──────────────┘

Shutdown contract:

1. The parent sends END behind the last frame.
2. A worker that has read END on every inbound pipe sends it on every outbound pipe and exits with 0.
3. END on every return pipe, with no frame missing, is the only good end.
4. A pipe that ends without END is a death. The parent kills every process group and closes every pipe; then it begins
   the next epoch, with new pipes, or ends the run.
5. The fork server watches the life pipe. When the parent is gone, it kills every process group and leaves.
"""
