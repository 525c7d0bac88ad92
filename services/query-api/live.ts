import { Counter, Gauge } from 'prom-client'
import { kindOf } from '../../shared/dead-letter.ts'
import type { UploadedTable } from '../../shared/codecs/uploaded-table.ts'
import { decodeRecords, SeriesTable } from '../../shared/decoders/decode.ts'
import { learn } from '../../shared/decoders/learn.ts'
import { SluiceError } from '../../shared/errors.ts'
import type { LogBatch, TelemetryLog } from '../../shared/log/port.ts'
import type { Logger } from '../../shared/process/logger.ts'
import type { Metrics } from '../../shared/process/metrics.ts'
import type { DeviceNames } from '../../shared/registry/names-port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { formatEvent, LiveClient, type LiveFilter } from './live-client.ts'
import { decodedReadings, viewWarning } from './live-events.ts'
import { findLetter, type FoundLetter } from './letter-reader.ts'
import { viewLetter } from './letter-view.ts'
import { newestLetters } from './letters.ts'
import { LogTail } from './log-tail.ts'

export interface LiveOptions {
  readonly log: TelemetryLog
  readonly registry: Pick<Registry, 'decoders' | 'names' | 'policies' | 'tombstones'>
  readonly uploaded: UploadedTable
  readonly logger: Logger
  readonly metrics: Metrics
  /** Live views open at the same time; each costs a socket and a queue. */
  readonly maxClients: number
}

const TICK_MS = 1000
const HEARTBEAT_TICKS = 15
/** Dead letters shown at the start: a page that is opened after the mistake shall show it. */
const BACKLOG = 20
/** Series kept between two batches: what is watched is little. */
const MAX_SERIES = 20_000
/** How long EventSource waits before it comes back. */
const GREETING = 'retry: 2000\n\n'

/**
 * What passes through the log, for pages and `tail`. One reader serves all clients and runs while there is one; it
 * decodes only what somebody asked for. Nothing is promised here: a client that is slow, and all of them when more
 * comes than can be watched, skip ahead and are told how many records they did not see.
 */
export class LiveView {
  readonly #options: LiveOptions
  readonly #table: SeriesTable
  readonly #clients = new Set<LiveClient>()
  readonly #skipped: Counter
  readonly #gauge: Gauge
  /** Clients that are there or on their way in. */
  #count = 0
  #tail: Promise<LogTail> | undefined
  #started: LogTail | undefined
  #stopping: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #ticks = 0
  #closed = false

  constructor(options: LiveOptions) {
    this.#options = options
    this.#table = new SeriesTable({ maxSeries: MAX_SERIES, uploaded: options.uploaded })
    const registers = [options.metrics]
    this.#gauge = new Gauge({ name: 'sluice_http_streams', help: 'Open live views', registers })
    const help = 'Records and events skipped in live views, because there were too many or the client was too slow'
    this.#skipped = new Counter({ name: 'sluice_http_stream_skipped_total', help, registers })
  }

  /**
   * The body of one live view: the newest dead letters, then what happens. Errors: `streams_exhausted`, `closed`,
   * `log_unavailable`.
   */
  async open(filter: LiveFilter): Promise<LiveClient> {
    if (this.#closed) throw new SluiceError('closed', 'The server is shutting down.')
    if (this.#count >= this.#options.maxClients) {
      throw new SluiceError('streams_exhausted', `${this.#count} live views are open.`)
    }
    const client = new LiveClient(filter, this.#names)
    client.once('close', () => this.#leave(client))
    this.#gauge.set((this.#count += 1))
    try {
      const tail = await this.#startTail()
      this.#started = tail
      // In one step: what the reader gave away before is in the backlog, what it gives from now on is not.
      const cursor = tail.letterPositions()
      this.#clients.add(client)
      const { letters } = await newestLetters(this.#options, { filter, limit: BACKLOG, cursor })
      if (this.#closed) throw new SluiceError('closed', 'The server is shutting down.')
      const past = letters.reverse().map((letter) => this.#letterEvent(letter))
      client.begin([GREETING, ...past])
      return client
    } catch (error) {
      client.destroy()
      throw error
    }
  }

  get #names(): DeviceNames {
    return this.#options.registry.names
  }

  /** Ends all live views at once; resolves when nothing is read any more. */
  async close(): Promise<void> {
    this.#closed = true
    for (const client of this.#clients) client.end()
    this.#stopTail()
    await this.#stopping
  }

  #startTail(): Promise<LogTail> {
    if (this.#tail === undefined) {
      const onSkipped = (records: number) => this.#clients.forEach((client) => client.skip(records))
      const onBatch = (batch: LogBatch) => this.#dispatch(batch)
      const { log, logger } = this.#options
      this.#tail = LogTail.start({ log, logger, onBatch, onSkipped })
      this.#timer = setInterval(() => this.#tick(), TICK_MS)
    }
    return this.#tail
  }

  #stopTail(): void {
    const tail = this.#tail
    if (tail === undefined) return
    this.#tail = undefined
    this.#started = undefined
    clearInterval(this.#timer)
    const stopped = tail.then(
      (started) => started.stop(),
      (error: unknown) => this.#options.logger.warn({ err: error }, 'the live view failed to start'),
    )
    this.#stopping = this.#stopping.then(() => stopped)
  }

  #leave(client: LiveClient): void {
    this.#clients.delete(client)
    this.#skipped.inc(client.untold)
    this.#gauge.set((this.#count -= 1))
    if (this.#count === 0) this.#stopTail()
  }

  #tick(): void {
    this.#ticks += 1
    this.#started?.tick()
    for (const client of this.#clients) {
      this.#skipped.inc(client.tick())
      if (this.#ticks % HEARTBEAT_TICKS === 0) client.offer(':\n\n')
    }
  }

  async #dispatch(batch: LogBatch): Promise<void> {
    if (batch.topic === 'telemetry.raw') await this.#showReadings(batch)
    else this.#showLetters(batch)
  }

  #showLetters({ partition, firstOffset, records }: LogBatch): void {
    records.forEach((record, index) => {
      const found = findLetter(record, { partition, offset: firstOffset + index })
      if (found === undefined) return
      const watchers = [...this.#clients].filter((client) => client.wantsLetter(found))
      if (watchers.length === 0) return
      const event = this.#letterEvent(found)
      for (const client of watchers) client.offer(event)
    })
  }

  async #showReadings({ partition, firstOffset, records }: LogBatch): Promise<void> {
    const watchers = this.#watchersOf(records)
    const chosen = [...watchers.keys()].sort((a, b) => a - b)
    if (chosen.length === 0) return
    const shown = chosen.map((index) => records[index]).filter((record) => record !== undefined)
    await learn(this.#table, shown, this.#options.registry)
    const decoded = decodeRecords(shown, this.#table)
    const watching = (record: number) => watchers.get(chosen[record] ?? -1) ?? []
    let last = -1
    for (const { record, view } of decodedReadings(shown, decoded, this.#names)) {
      const event = formatEvent('reading', view)
      // The first reading of a record was paid for when the record was chosen.
      const isFirst = record !== last
      last = record
      for (const client of watching(record)) if (isFirst || client.spend()) client.offer(event)
    }
    for (const suspect of decoded.suspects) {
      const record = shown[suspect.record]
      if (record === undefined) continue
      const offset = firstOffset + (chosen[suspect.record] ?? 0)
      const event = formatEvent('warning', viewWarning(record, { partition, offset }, suspect, this.#names))
      for (const client of watching(suspect.record)) if (client.spend()) client.offer(event)
    }
  }

  #letterEvent(found: FoundLetter): string {
    const event = kindOf(found.letter) === 'warning' ? 'warning' : 'refusal'
    return formatEvent(event, viewLetter(found, this.#names))
  }

  /** Who gets which record: of more than a client may get in a second, the newest. */
  #watchersOf(records: readonly LogRecord[]): Map<number, LiveClient[]> {
    const watchers = new Map<number, LiveClient[]>()
    for (const client of this.#clients) {
      for (let index = records.length - 1; index >= 0; index -= 1) {
        const record = records[index]
        if (record === undefined || !client.wantsKey(record.key) || !client.spend()) continue
        const others = watchers.get(index)
        if (others === undefined) watchers.set(index, [client])
        else others.push(client)
      }
    }
    return watchers
  }
}
