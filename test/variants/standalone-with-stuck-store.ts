import { EMBEDDED, runStandalone } from '../../services/standalone/main.ts'
import type { PointStore } from '../../shared/points/port.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** A standalone whose store stops taking points after a while, as on a full disk: what comes then stays in the log. */
const TAKES_POINTS = 10_000

function stuck(points: PointStore): PointStore {
  let taken = 0
  const write: PointStore['write'] = async (batch) => {
    taken += batch.series.length
    return taken > TAKES_POINTS ? new Promise<never>(() => {}) : points.write(batch)
  }
  return overriding(points, { write })
}

process.exitCode = await runStandalone(
  { lan: false },
  {
    ...EMBEDDED,
    openPorts: async (context) => {
      const ports = await EMBEDDED.openPorts(context)
      return { ...ports, points: stuck(ports.points) }
    },
  },
)
