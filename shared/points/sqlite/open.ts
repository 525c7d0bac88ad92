import { SluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { Metrics } from '../../process/metrics.ts'
import { oncePer, TELL_EVERY_MS } from '../../process/once-per.ts'
import { ThreadClient, toError } from '../../process/thread-client.ts'
import { ANY_ROOM, noticing, type Room } from '../../storage/room.ts'
import type { PointBatch } from '../../telemetry.ts'
import { PointsMetrics } from '../points-metrics.ts'
import type { DeleteRange, PointPage, PointQuery, PointScan, PointStore, RejectedPoint, SeriesPoints } from '../port.ts'
import { checkInstant, checkQuery, encodeCursor } from '../cursor.ts'
import type { Calls, Opened, PointsEvent, SeriesColumns, ThreadOptions } from './messages.ts'
import { RequestLine } from './request-line.ts'
import { Readers } from './readers.ts'
import { runScan, type ScanThreads } from './scan.ts'
import { SealMetrics } from './seal-metrics.ts'

/**
 * Unsealed points from which they are sealed: 24 bytes of memory each and as much on disk, twice (one generation is
 * filled while another is sealed), so about 50 MB. With 100,000 series it is ten points of each, which the store can
 * still merge at about four writes of a point; fewer would cost more than they save.
 */
const SEAL_AFTER_POINTS = 1_000_000

/** What a point takes on the disk before it is sealed, about. */
const POINT_BYTES = 24

const SEAL_AFTER_MS = 24 * 3_600_000

const READERS = 1

export interface SqlitePointsOptions {
  /** Made when it is absent. One process at a time: another one gets `data_locked`. */
  readonly folder: string
  readonly logger: Logger
  readonly metrics: Metrics
  /** Points held unsealed before they are compressed into chunks; less memory, more work. Default 1,000,000. */
  readonly sealAfterPoints?: number
  /** The longest that points wait for that, in ms; at 0 nothing stays unsealed. Default one day. */
  readonly sealAfterMs?: number
  /** How long points of any tenant are kept at most, in whole ms; absent: for ever. */
  readonly keepMs?: number | undefined
  /** Threads that unpack chunks for scans, started by the first one. Default 1. */
  readonly readers?: number
  /** Nothing is written while there is none; deletes are. */
  readonly room?: Room
}

/**
 * Opens the embedded point store. Its databases live in one thread of their own; points cross to it as columns that
 * are handed over, not copied. Errors: `data_locked`, `data_newer`, `data_unwritable`, `disk_full`, `store_corrupt`.
 */
export async function openSqlitePoints(options: SqlitePointsOptions): Promise<PointStore> {
  const { folder, logger, metrics, sealAfterPoints = SEAL_AFTER_POINTS, sealAfterMs = SEAL_AFTER_MS, keepMs } = options
  const figures = new PointsMetrics(metrics)
  const workerData: ThreadOptions = { folder, sealAfterPoints, sealAfterMs, keepMs }
  const seals = new SealMetrics(metrics)
  const { room = ANY_ROOM } = options
  const toPointsError = noticing(room, toError)
  const mayTell = oncePer(TELL_EVERY_MS)
  const { client, opened } = await ThreadClient.start<Calls, Opened, PointsEvent>({
    file: new URL('./thread.ts', import.meta.url),
    workerData,
    name: 'point store',
    lostCode: 'store_unavailable',
    toError: toPointsError,
    onEvent(event) {
      if (event.kind === 'state') return seals.observe(event.state)
      if (event.kind === 'damage') {
        seals.damaged.inc()
        return logger.error({ code: 'store_corrupt', detail: event.detail }, 'a file of the point store is damaged')
      }
      const { code, message } = toPointsError(event.failure)
      figures.failures.inc({ code })
      if (mayTell(code)) logger.warn({ code, detail: message }, 'points cannot be sealed; retrying')
    },
    onLost(error) {
      logger.error({ code: error.code, err: error }, 'the point store is unavailable until the process is restarted')
    },
  })
  seals.rawPoints.set(opened.rawPoints)
  const readers = new Readers(options.readers ?? READERS, metrics)
  return new SqlitePoints(new RequestLine(client, figures, seals), readers, figures, room)
}

class SqlitePoints implements PointStore {
  readonly #line: RequestLine
  readonly #metrics: PointsMetrics
  readonly #room: Room
  readonly #readers: Readers
  readonly #threads: ScanThreads

  constructor(line: RequestLine, readers: Readers, metrics: PointsMetrics, room: Room) {
    this.#line = line
    this.#metrics = metrics
    this.#room = room
    this.#readers = readers
    this.#threads = {
      begin: (scan, points) => line.ask('scan', { scan, points }),
      step: (id, points) => line.ask('scanStep', { id, points }),
      end: (id) => void line.ask('scanEnd', { id }).then(undefined, ended),
      unpack: (job) => readers.unpack(job),
    }
  }

  async write(batch: PointBatch): Promise<readonly RejectedPoint[]> {
    const { series, ms, ns, values } = batch
    if (ms.length !== series.length || ns.length !== series.length || values.length !== series.length) {
      throw new SluiceError('bad_request', 'the columns of a batch differ in length')
    }
    this.#room.check(series.length * POINT_BYTES)
    const stop = this.#metrics.writeSeconds.startTimer()
    const rejected = await this.#line.write(batch)
    stop()
    this.#metrics.batchPoints.observe(series.length)
    this.#metrics.written.inc(series.length - rejected.length)
    for (const { error } of rejected) this.#metrics.rejected.inc({ code: error.code })
    return rejected
  }

  async sync(): Promise<void> {
    await this.#line.ask('sync', undefined)
  }

  async query(query: PointQuery): Promise<PointPage> {
    const checked = checkQuery(query)
    const stop = this.#metrics.querySeconds.startTimer()
    const { series, next, leftOut } = await this.#line.ask('query', checked)
    const page = series.map(toSeriesPoints)
    stop()
    return {
      series: page,
      complete: next === undefined,
      next: next === undefined ? undefined : encodeCursor(query, next),
      leftOut,
    }
  }

  scan(scan: PointScan): ReturnType<PointStore['scan']> {
    return runScan(this.#threads, scan)
  }

  series(tenant: string, device: string): ReturnType<PointStore['series']> {
    return this.#line.ask('series', { tenant, device })
  }

  devices({ after, limit }: Parameters<PointStore['devices']>[0]): ReturnType<PointStore['devices']> {
    return this.#line.ask('devices', { after, limit })
  }

  async delete(range: DeleteRange): Promise<void> {
    checkInstant('from', range.from)
    checkInstant('to', range.to)
    await this.#line.ask('delete', range)
  }

  async setRetention(tenant: string, keepMs: number | undefined): Promise<void> {
    if (keepMs !== undefined && (!Number.isSafeInteger(keepMs) || keepMs < 1)) {
      throw new SluiceError('bad_request', `retention: ${keepMs} is not a whole number of milliseconds from 1`)
    }
    await this.#line.ask('setRetention', { tenant, keepMs })
  }

  retention(): ReturnType<PointStore['retention']> {
    return this.#line.ask('retention', undefined)
  }

  async snapshot(folder: string): Promise<void> {
    await this.#line.ask('snapshot', { folder })
  }

  async close(): Promise<void> {
    await Promise.all([this.#line.close(), this.#readers.close()])
  }
}

/** A store that is closing has no scans either. */
function ended(): void {}

function toSeriesPoints({ stream, field, type, ms, ns, values }: SeriesColumns): SeriesPoints {
  const times = Array.from(ms, (time, i) => ({ ms: time, ns: ns?.[i] ?? 0 }))
  return { stream, field, type, times, values: Array.from<number | bigint | boolean | string>(values) }
}
