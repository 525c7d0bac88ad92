import { setTimeout } from 'node:timers/promises'
import { EMBEDDED, runStandalone } from '../../services/standalone/main.ts'
import type { PointStore } from '../../shared/points/port.ts'
import { logThatCommitsFirst } from './log-that-commits-first.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: the offset behind a batch is committed when the batch arrives; the store is slow enough to show it. */
const WRITE_TAKES_MS = 100

function slow(points: PointStore): PointStore {
  const write: PointStore['write'] = async (batch) => {
    await setTimeout(WRITE_TAKES_MS)
    return points.write(batch)
  }
  return overriding(points, { write })
}

process.exitCode = await runStandalone(
  { lan: false },
  {
    ...EMBEDDED,
    openPorts: async (context) => {
      const ports = await EMBEDDED.openPorts(context)
      return { ...ports, log: logThatCommitsFirst(ports.log), points: slow(ports.points) }
    },
  },
)
