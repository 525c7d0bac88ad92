import type { LogConsumer, TelemetryLog } from '../../shared/log/port.ts'
import type { Registry, StreamState } from '../../shared/registry/port.ts'
import { withMethods } from '../../load-tests/reference/overriding.ts'

type States = Pick<Registry, 'readStreams' | 'writeState'>

/** Known-wrong: what values of the same time have got is known to the worker that gave it, and to none after it. */
export function keptInMemoryOnly<R extends States>(registry: R): R {
  return changing(registry, () => undefined)
}

/** Known-wrong: only the newest values of a field are kept, and not what those got that may be read again. */
export function keptWithoutPositions<R extends States>(registry: R): R {
  return changing(registry, (kept) => {
    const [version, log, partition, , fields] = JSON.parse(kept) as unknown[]
    return JSON.stringify([version, log, partition, -1, fields, []])
  })
}

function changing<R extends States>(registry: R, change: (kept: string) => string | undefined): R {
  const writeState = (rows: readonly StreamState[]): Promise<void> =>
    registry.writeState(rows.map(({ kept, ...row }) => ({ ...row, kept: kept === undefined ? kept : change(kept) })))
  return withMethods(registry, { writeState })
}

/** Known-wrong: states are written when the offsets that they stand for are committed. */
export function stateBehindCommit<P extends { log: Pick<TelemetryLog, 'consume'>; registry: States }>(ports: P): P {
  const { log, registry } = ports
  const waiting: StreamState[] = []
  const consume: TelemetryLog['consume'] = async (options) => {
    const consumer = await log.consume(options)
    const commit: LogConsumer['commit'] = async (positions) => {
      await consumer.commit(positions)
      await registry.writeState(waiting.splice(0))
    }
    return withMethods(consumer, { commit })
  }
  const writeState: States['writeState'] = async (rows) => void waiting.push(...rows)
  return { ...ports, log: withMethods(log, { consume }), registry: withMethods(registry, { writeState }) }
}
