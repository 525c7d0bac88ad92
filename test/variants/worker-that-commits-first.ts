import { setTimeout } from 'node:timers/promises'
import { runIngestWorker } from '../../services/ingest-worker/main.ts'
import { logThatCommitsFirst } from './log-that-commits-first.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: a worker of the cluster that commits what it has not stored; the store is slow enough to show it. */
const WRITE_TAKES_MS = 100

process.exitCode = await runIngestWorker((ports) => ({
  ...ports,
  log: logThatCommitsFirst(ports.log),
  points: overriding(ports.points, {
    async write(batch) {
      await setTimeout(WRITE_TAKES_MS)
      return ports.points.write(batch)
    },
  }),
}))
