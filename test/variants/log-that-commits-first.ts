import type { LogConsumer, TelemetryLog } from '../../shared/log/port.ts'
import { withMethods } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: offsets are committed before the records are given to the worker. What it had in hand is lost. */
export function logThatCommitsFirst<L extends Pick<TelemetryLog, 'consume'>>(log: L): L {
  const consume: TelemetryLog['consume'] = async (options) => {
    const opened = Promise.withResolvers<LogConsumer>()
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
  return withMethods(log, { consume })
}

/** Known-wrong: offsets are committed although the store was never asked to make the points durable. */
export function pointsNeverSynced<P extends { sync(): Promise<void> }>(points: P): P {
  return withMethods(points, { sync: async () => {} })
}
