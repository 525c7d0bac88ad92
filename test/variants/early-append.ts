import type { TelemetryLog } from '../../shared/log/port.ts'

/**
 * Wrong on purpose: an append resolves at once, before its records are durable, as if a write to memory were enough.
 * First offsets are not known yet and come back as -1. What proves that an acknowledgement means stored must fail on it.
 */
export function earlyAppend(log: TelemetryLog): TelemetryLog {
  return {
    partitions: log.partitions,
    partitionOf: (key) => log.partitionOf(key),
    partitionsOf: (key) => log.partitionsOf(key),
    placesOf: (key) => log.placesOf(key),
    async append(topic, records) {
      void log.append(topic, records).then(undefined, ignore)
      return new Map(records.map(({ key }) => [log.partitionOf(key), -1]))
    },
    consume: (options) => log.consume(options),
    read: (options) => log.read(options),
    offsets: (topic) => log.offsets(topic),
    lag: (topic, group) => log.lag(topic, group),
    durability: () => log.durability(),
    close: () => log.close(),
  }
}

/** The caller was told that all is well: nobody is left to hear of it. */
function ignore(): void {}
