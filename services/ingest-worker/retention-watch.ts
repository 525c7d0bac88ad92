import {
  INGEST_GROUP,
  RETENTION_NEAR,
  type Horizon,
  type PartitionLag,
  type TelemetryLog,
} from '../../shared/log/port.ts'
import type { Logger } from '../../shared/process/logger.ts'

const EVERY_MS = 60_000

interface WatchOptions {
  readonly log: Pick<TelemetryLog, 'lag'>
  readonly logger: Logger
  readonly everyMs?: number
}

/** Looks now and then how near retention is to the oldest record that is not stored, and warns while it is near. */
export class RetentionWatch {
  readonly #options: WatchOptions
  readonly #timer: NodeJS.Timeout
  #near: string | undefined
  #isLooking = false

  constructor(options: WatchOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.#look(), options.everyMs ?? EVERY_MS)
    this.#timer.unref()
  }

  /** What is near, for a person; undefined for nothing. */
  summary(): string | undefined {
    return this.#near
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    const { log, logger } = this.#options
    try {
      const nearest = nearestOf(await log.lag('telemetry.raw', INGEST_GROUP))
      const before = this.#near
      this.#near = nearest === undefined ? undefined : textOf(nearest)
      if (nearest !== undefined && before === undefined) {
        const { partition, horizon } = nearest
        logger.warn({ partition, ...horizon }, 'retention is near records that are not stored: they will be lost')
      } else if (nearest === undefined && before !== undefined) {
        logger.info('retention is no longer near records that are not stored')
      }
    } catch (error) {
      logger.debug({ err: error }, 'how near retention is to records that are not stored is unknown')
    } finally {
      this.#isLooking = false
    }
  }
}

type Near = PartitionLag & { readonly horizon: Horizon }

function nearestOf(lag: readonly PartitionLag[]): Near | undefined {
  const near = lag.filter((one): one is Near => (one.horizon?.used ?? 0) >= RETENTION_NEAR)
  return near.sort((a, b) => a.horizon.seconds - b.horizon.seconds)[0]
}

function textOf({ partition, horizon: { seconds, used } }: Near): string {
  const hours = (seconds / 3600).toFixed(1)
  return `retention removes records of partition ${partition} that are not stored in ${hours} h (${Math.round(used * 100)} % of it is used)`
}
