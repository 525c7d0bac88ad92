import { runIngestWorker } from '../../services/ingest-worker/main.ts'
import type { LogConsumer, TelemetryLog } from '../../shared/log/port.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/**
 * The worker as it is, killed at one exact point of its work: `killed-worker.ts <point> <count>`, when it is there for the
 * so manyth time.
 */
const POINTS = ['after-hand-on', 'before-write', 'between-stores', 'after-both', 'before-commit'] as const

const [point, count] = process.argv.slice(2)
if (!POINTS.some((known) => known === point)) throw new Error(`the point is one of ${POINTS.join(', ')}`)
let left = Number(count)

/** Never resolves when it is time. */
async function passing(here: (typeof POINTS)[number]): Promise<void> {
  if (here !== point) return
  left -= 1
  if (left > 0) return
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => undefined)
}

process.exitCode = await runIngestWorker((ports) => {
  const { log, points, registry } = ports
  const consume: TelemetryLog['consume'] = async (options) => {
    const consumer = await log.consume(options)
    const commit: LogConsumer['commit'] = async (positions) => {
      await passing('before-commit')
      await consumer.commit(positions)
    }
    return overriding(consumer, { commit })
  }
  const append: TelemetryLog['append'] = async (topic, records) => {
    const ends = await log.append(topic, records)
    // Letters are appended, too.
    if (topic === 'telemetry.raw') await passing('after-hand-on')
    return ends
  }
  return {
    ...ports,
    log: overriding(log, { append, consume }),
    points: overriding(points, {
      async write(batch) {
        await passing('before-write')
        return points.write(batch)
      },
    }),
    registry: overriding(registry, {
      async writeState(rows) {
        await passing('between-stores')
        await registry.writeState(rows)
        await passing('after-both')
      },
    }),
  }
})
