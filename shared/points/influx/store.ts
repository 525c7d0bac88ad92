import { orLate } from '../../in-time.ts'
import { SluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { Instant, PointBatch } from '../../telemetry.ts'
import { compareText } from '../../text-order.ts'
import { checkInstant, checkQuery, encodeCursor } from '../cursor.ts'
import type { PointsMetrics } from '../points-metrics.ts'
import type {
  DeleteRange,
  DeviceOfPoints,
  PointPage,
  PointQuery,
  PointScan,
  PointStore,
  RejectedPoint,
} from '../port.ts'
import type { InfluxConnection } from './connection.ts'
import { InfluxDeleter } from './deleter.ts'
import { Expiry } from './expiry.ts'
import type { InfluxMetrics } from './metrics.ts'
import { areStorable } from './names.ts'
import { readPage } from './pages.ts'
import { InfluxReader } from './reader.ts'
import { TenantRetention } from './retention.ts'
import { scanBucket } from './scan.ts'
import { InfluxWriter } from './writer.ts'

/** How long a close waits for what is under way. */
const CLOSE_MS = 5000

export interface StoreParts {
  readonly connection: InfluxConnection
  readonly org: string
  readonly bucket: string
  readonly metrics: InfluxMetrics
  readonly figures: PointsMetrics
  /** How long the bucket keeps points; undefined = for ever, or not known. */
  readonly keepMs: number | undefined
  readonly logger: Logger
}

/** A bucket as point store. */
export class InfluxPoints implements PointStore {
  readonly #parts: StoreParts
  readonly #writer: InfluxWriter
  readonly #reader: InfluxReader
  readonly #deleter: InfluxDeleter
  readonly #retention: TenantRetention
  #closed = false
  /** Writes and deletes, one after the other; who awaits each call bounds how many wait. */
  #changes: Promise<unknown> = Promise.resolve()
  readonly #queries = new Set<Promise<unknown>>()
  #expiry: Expiry | undefined
  #closing: Promise<void> | undefined

  constructor(parts: StoreParts) {
    this.#parts = parts
    this.#writer = new InfluxWriter(parts)
    this.#reader = new InfluxReader(parts.connection, parts.org, parts.bucket)
    this.#deleter = new InfluxDeleter(parts, this.#reader)
    const write = (line: string) => this.#writer.writeLine(line)
    this.#retention = new TenantRetention({ reader: this.#reader, bucket: parts.bucket, write })
  }

  async write(batch: PointBatch): Promise<readonly RejectedPoint[]> {
    const { series, ms, ns, values } = batch
    if (ms.length !== series.length || ns.length !== series.length || values.length !== series.length) {
      throw new SluiceError('bad_request', 'the columns of a batch differ in length')
    }
    const { figures, keepMs } = this.#parts
    figures.waiting.inc(series.length)
    try {
      const stop = figures.writeSeconds.startTimer()
      const rejected = await this.#change(() => this.#writer.write(batch, keepMs))
      stop()
      figures.batchPoints.observe(series.length)
      figures.written.inc(series.length - rejected.length)
      for (const { error } of rejected) figures.rejected.inc({ code: error.code })
      return rejected
    } finally {
      figures.waiting.dec(series.length)
    }
  }

  /** What a write returned for is on the server's disk already. */
  async sync(): Promise<void> {
    this.#refuseClosed()
    await this.#changes
  }

  async query(query: PointQuery): Promise<PointPage> {
    const checked = checkQuery(query)
    const { bucket, figures } = this.#parts
    const stop = figures.querySeconds.startTimer()
    const { series, next, leftOut } = await this.#ask(async () => {
      return readPage(this.#reader, bucket, checked, await this.#keptFrom(query.tenant))
    })
    stop()
    return {
      series,
      complete: next === undefined,
      next: next === undefined ? undefined : encodeCursor(query, next),
      leftOut,
    }
  }

  scan(scan: PointScan): ReturnType<PointStore['scan']> {
    const { bucket } = this.#parts
    const ask = <T>(work: () => Promise<T>): Promise<T> => this.#ask(work)
    return scanBucket({ reader: this.#reader, bucket, ask, keptFrom: () => this.#keptFrom(scan.tenant) }, scan)
  }

  async series(tenant: string, device: string): ReturnType<PointStore['series']> {
    if (!areStorable(tenant, device)) return []
    const found = await this.#ask(() => this.#reader.series(tenant, device))
    return found.map(({ stream, field, type }) => ({ stream, field, type }))
  }

  async devices({ after, limit }: Parameters<PointStore['devices']>[0]): ReturnType<PointStore['devices']> {
    const all = await this.#ask(() => this.#reader.devices())
    const isBehind = (one: DeviceOfPoints) => after === undefined || compareDevices(one, after) > 0
    return all.filter(isBehind).sort(compareDevices).slice(0, limit)
  }

  async delete(range: DeleteRange): Promise<void> {
    checkInstant('from', range.from)
    checkInstant('to', range.to)
    await this.#change(() => this.#deleter.delete(range))
  }

  async setRetention(tenant: string, keepMs: number | undefined): Promise<void> {
    if (keepMs !== undefined && (!Number.isSafeInteger(keepMs) || keepMs < 1)) {
      throw new SluiceError('bad_request', `retention: ${keepMs} is not a whole number of milliseconds from 1`)
    }
    if (!areStorable(tenant)) throw new SluiceError('name_invalid', `${JSON.stringify(tenant)} is not a tenant name`)
    await this.#change(() => this.#retention.set(tenant, keepMs))
  }

  async retention(): ReturnType<PointStore['retention']> {
    return { mostMs: this.#parts.keepMs, tenants: await this.#ask(() => this.#retention.list()) }
  }

  async snapshot(): Promise<void> {
    throw new SluiceError(
      'unsupported',
      'back up points in InfluxDB with `influx backup`, which needs its operator token',
    )
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Starts deleting what is past the retention of its tenant, now and then. */
  expireEvery(everyMs: number): void {
    this.#expiry ??= new Expiry({
      everyMs,
      due: (before) => this.#ask(() => this.#retention.due(before)),
      begun: (tenant, atMs) => this.#change(() => this.#retention.expired(tenant, atMs)),
      delete: (range) => this.#change(() => this.#deleter.delete(range)),
      logger: this.#parts.logger,
    })
  }

  async #close(): Promise<void> {
    this.#closed = true
    await orLate(Promise.allSettled([this.#changes, this.#expiry?.close(), ...this.#queries]), CLOSE_MS)
    this.#parts.connection.close()
  }

  /** What is seen of a tenant begins here, although it may still be there. */
  async #keptFrom(tenant: string): Promise<Instant> {
    const ofTenant = (await this.#retention.keepMs(tenant)) ?? Infinity
    const keepMs = Math.min(ofTenant, this.#parts.keepMs ?? Infinity)
    return { ms: keepMs === Infinity ? 0 : Math.max(0, Date.now() - keepMs), ns: 0 }
  }

  /** Runs behind all changes before it. */
  async #change<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseClosed()
    const done = this.#counted(this.#changes.then(work))
    this.#changes = done.catch(ended)
    return done
  }

  /** Runs beside other queries, behind the changes that were asked for before it. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseClosed()
    const done = this.#counted(this.#changes.then(work))
    this.#queries.add(done)
    try {
      return await done
    } finally {
      this.#queries.delete(done)
    }
  }

  async #counted<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      if (error instanceof SluiceError) this.#parts.figures.failures.inc({ code: error.code })
      throw error
    }
  }

  #refuseClosed(): void {
    if (this.#closed) throw new SluiceError('closed', 'the point store is closed')
  }
}

function compareDevices(a: DeviceOfPoints, b: DeviceOfPoints): number {
  return compareText(a.tenant, b.tenant) || compareText(a.device, b.device)
}

/** Whoever called was told already, or nobody waits any longer. */
function ended(): void {}
