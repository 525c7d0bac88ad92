import type { ClockStep } from '../../shared/device-clock.ts'
import { deadLetterToRecord } from '../../shared/dead-letter.ts'
import { MAX_AHEAD_MS } from '../../shared/decoders/time-bounds.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { LruMap } from '../../shared/lru.ts'
import { laterBy } from '../../shared/stamps/scheme.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { DEFAULT_STREAM, formatTelemetryTopic, type TelemetryTopic } from '../../shared/topics.ts'
import type { Accepted } from './accepted.ts'
import type { Retry } from './retry.ts'

/** Devices whose last step is remembered as told. */
const MAX_DEVICES = 10_000
/** Streams of a device see one step one after the other. */
const ONE_STEP_MS = 24 * 3_600_000
const SAME_MS = 5_000

/** A step, and the message that proved it. */
export interface DeviceStep extends ClockStep {
  readonly names: TelemetryTopic
  readonly record: LogRecord
}

/** The time that the device gave the last of these points, in ms; undefined where it has the receive time. */
export function deviceTimeOf({ points, element }: Accepted, to: number, record: LogRecord): number | undefined {
  const last = to - 1
  const ms = points.ms[last] ?? 0
  const offset = ms - record.ms
  if (offset === MAX_AHEAD_MS) return undefined // Of a time that was clamped.
  if (offset !== 0 && offset !== 1) return ms
  const received = laterBy(record, element[last] ?? 0)
  return received.ms === ms && received.ns === points.ns[last] ? undefined : ms
}

/** Tells of clocks that were set: one letter for a step of a device, whatever streams it has. */
export class ClockSteps {
  readonly #log: Pick<TelemetryLog, 'append'>
  readonly #retry: Pick<Retry, 'run'>
  readonly #told = new LruMap<string, { readonly stream: string; readonly byMs: number; readonly atMs: number }>(
    MAX_DEVICES,
  )

  constructor({ log, retry }: { log: Pick<TelemetryLog, 'append'>; retry: Pick<Retry, 'run'> }) {
    this.#log = log
    this.#retry = retry
  }

  /** Resolves when their letters are durable. */
  async append(steps: readonly DeviceStep[]): Promise<void> {
    for (const step of steps) {
      const { names, record, fromMs, toMs } = step
      const byMs = toMs - fromMs
      const known = this.#told.get(record.key)
      const isNear =
        known !== undefined && record.ms - known.atMs < ONE_STEP_MS && Math.abs(byMs - known.byMs) < SAME_MS
      if (isNear && known.stream !== names.stream) continue
      await this.#retry.run('log', () => this.#log.append('telemetry.dead-letter', [letterOf(step)]))
      this.#told.set(record.key, { stream: names.stream, byMs, atMs: record.ms })
    }
  }
}

function letterOf({ names, record, fromMs, toMs }: DeviceStep): LogRecord {
  const { key, value: payload, ms, ns, headers } = record
  const topic = headers?.['topic'] ?? formatTelemetryTopic({ ...names, stream: names.stream ?? DEFAULT_STREAM })
  return deadLetterToRecord({
    ...({ stage: 'clock', code: 'device_clock_stepped', detail: describe(fromMs, toMs), who: key, topic } as const),
    ...{ key, payload, headers, ms, ns, scheme: record.scheme },
    source: undefined,
    firstFailedMs: Date.now(),
    attempts: 1,
  })
}

function describe(fromMs: number, toMs: number): string {
  const seconds = (ms: number) => `${ms < 0 ? '-' : '+'}${(Math.abs(ms) / 1000).toFixed(1)} s`
  return `the clock of the device was set by ${seconds(toMs - fromMs)}: it was ${seconds(fromMs)} from the receive time, and is ${seconds(toMs)}`
}
