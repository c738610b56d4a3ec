"""The process engine: a parent, a fork server, workers, and the pipes between them.

              ┌──────────── parent ────────────┐
              │ split source · window · loop   │◀═════════ return pipes (duplex) ═════════╗
              └──────┬───────────────────┬─────┘                                          ║
      socket, life   │           one-way ▼                                                ║
      pipe           │            worker: stage 1 ── one-way ─▶ worker: stage 2 ─ … ─▶ worker: stage n
              ┌──────▼──────┐            ▲                             ▲                  ▲
              │ fork server ├── forks ───┴─────────────────────────────┴──────────────────┘
              └─────────────┘

An epoch begins: the parent makes new pipes and the fork server forks the workers. READY passes down every pipe.

The good end:
1. The parent sends END behind the last frame.
2. A worker that has read END on every inbound pipe sends it on every outbound pipe, closes its stages and exits with 0.
3. END on every return pipe, with no frame missing, ends the epoch. Nothing else does: EOF is not the end of data.

A death, a missed deadline, a broken frame or a pipe that ends without END:
1. The parent waits at most half a second to learn which process died first: the root cause.
2. It kills every process group and closes every pipe. It waits a second at most: new pipes make a
   stuck process harmless.
3. It begins the next epoch or ends the run.

The parent dies: the life pipe reaches end of file. The fork server kills every process group and exits.
The fork server dies: its workers die with it. The parent starts another one and the next epoch.
"""
