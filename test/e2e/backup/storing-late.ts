import { INGEST_GROUP, type TelemetryLog } from '../../../shared/log/port.ts'
import { EMBEDDED, runStandalone } from '../../../services/standalone/main.ts'
import type { Ports } from '../../../services/standalone/services.ts'
import type { StoreSnapshots } from '../../../services/standalone/backups.ts'
import { overriding } from '../../../load-tests/reference/overriding.ts'
import { pause } from '../../../shared/backoff.ts'

/**
 * A standalone in whose first backup everything happens at the worst moment: nothing of the log is stored until the points
 * were copied, and all of it is stored and committed before the next copy is made.
 */
export async function runStoringLate(order: (ports: Ports) => StoreSnapshots): Promise<number> {
  const copied = Promise.withResolvers<void>()
  return runStandalone(
    { lan: false },
    {
      ...EMBEDDED,
      openPorts: async (context) => {
        const ports = await EMBEDDED.openPorts(context)
        const snapshots = order(ports)
        const points: StoreSnapshots['points'] = async (folder) => {
          await snapshots.points(folder)
          copied.resolve()
          await whenCommitted(ports.log)
        }
        const write: Ports['points']['write'] = async (batch) => {
          await copied.promise
          return ports.points.write(batch)
        }
        return { ...ports, points: overriding(ports.points, { write }), snapshots: { ...snapshots, points } }
      },
    },
  )
}

async function whenCommitted(log: TelemetryLog): Promise<void> {
  const isLeft = async (): Promise<boolean> => {
    return (await log.lag('telemetry.raw', INGEST_GROUP)).some(({ records }) => records > 0)
  }
  while (await isLeft()) await pause(20)
}
