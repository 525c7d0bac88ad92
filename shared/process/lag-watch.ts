import { Gauge } from 'prom-client'
import { inTime } from '../in-time.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { INGEST_GROUP, type TelemetryLog } from '../log/port.ts'

const EVERY_MS = 5_000
/** A log that takes longer is asked again; what was read before stays, with its time. */
const LIMIT_MS = 4_000

interface LagWatchOptions {
  readonly log: Pick<TelemetryLog, 'lag'>
  readonly logger: Logger
  readonly metrics: Metrics
  /** 5,000 unless given. */
  readonly everyMs?: number
}

/**
 * How far the workers are behind, read beside them: it must be known best when none of them lives. A scrape waits for
 * nothing, and sees by `sluice_log_lag_read_timestamp_seconds` how old what it gets is.
 */
export class LagWatch {
  readonly #options: LagWatchOptions
  readonly #gauges: ReturnType<typeof createGauges>
  readonly #timer: NodeJS.Timeout
  #isReading = false

  constructor(options: LagWatchOptions) {
    this.#options = options
    this.#gauges = createGauges(options.metrics)
    this.#timer = setInterval(() => void this.#read(), options.everyMs ?? EVERY_MS)
    this.#timer.unref()
    void this.#read()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #read(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    const { log, logger } = this.#options
    const { records, seconds, horizon, readAt } = this.#gauges
    try {
      for (const lag of await inTime(log.lag('telemetry.raw', INGEST_GROUP), LIMIT_MS, 'log_unavailable')) {
        const { partition } = lag
        records.set({ partition }, lag.records)
        seconds.set({ partition }, lag.seconds)
        if (lag.horizon === undefined) horizon.remove({ partition })
        else horizon.set({ partition }, lag.horizon.seconds)
      }
      readAt.setToCurrentTime()
    } catch (error) {
      logger.debug({ err: error }, 'the lag of the log is unknown')
    } finally {
      this.#isReading = false
    }
  }
}

function createGauges(metrics: Metrics) {
  const about = (name: string, help: string, labelNames: 'partition'[] = ['partition']) => {
    return { name: `sluice_log_${name}`, help, labelNames, registers: [metrics] }
  }
  return {
    records: new Gauge(
      about('lag_records', 'Records acknowledged and not yet stored and committed, as of the last read'),
    ),
    seconds: new Gauge(about('lag_seconds', 'Age of the oldest of them, as of the last read')),
    horizon: new Gauge(
      about(
        'retention_horizon_seconds',
        'Until retention removes the oldest uncommitted record, at the earliest; absent while none waits',
      ),
    ),
    readAt: new Gauge(about('lag_read_timestamp_seconds', 'When the lag was last read: an older one says nothing', [])),
  }
}
