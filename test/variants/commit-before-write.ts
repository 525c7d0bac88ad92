import { setTimeout } from 'node:timers/promises'
import { EMBEDDED, runStandalone } from '../../services/standalone/main.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import type { PointStore } from '../../shared/points/port.ts'
import { overriding } from './overriding.ts'

/** Known-wrong: the offset behind a batch is committed when the batch arrives; the store is slow enough to show it. */
const WRITE_TAKES_MS = 100

function commitFirst(log: TelemetryLog): TelemetryLog {
  const consume: TelemetryLog['consume'] = async (options) => {
    const opened = Promise.withResolvers<Awaited<ReturnType<TelemetryLog['consume']>>>()
    const consumer = await log.consume({
      ...options,
      onBatch: async (batch, signal) => {
        const { partition, firstOffset, records } = batch
        await (await opened.promise).commit([{ partition, offset: firstOffset + records.length }])
        await options.onBatch(batch, signal)
      },
    })
    opened.resolve(consumer)
    return consumer
  }
  return overriding(log, { consume })
}

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
      return { ...ports, log: commitFirst(ports.log), points: slow(ports.points) }
    },
  },
)
