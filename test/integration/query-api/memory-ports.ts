import type { Cache } from '../../../shared/cache/port.ts'
import type { BrokerNodes, CommandResult, DeviceCommand, SessionOnNode } from '../../../shared/commands.ts'
import { SluiceError } from '../../../shared/errors.ts'
import type { LogBatch, LogTopic, ReadOptions, TelemetryLog } from '../../../shared/log/port.ts'
import type { PointQuery, PointStore } from '../../../shared/points/port.ts'
import { compareInstants, type Instant, type LogRecord, type PointBatch } from '../../../shared/telemetry.ts'

const unused = (): never => {
  throw new Error('not part of the fake')
}

export class MemoryLog implements TelemetryLog {
  readonly partitions = 1
  readonly #topics: Record<LogTopic, LogRecord[]> = { 'telemetry.raw': [], 'telemetry.dead-letter': [] }
  #appended = Promise.withResolvers<void>()
  /** Reads that are in progress. */
  reading = 0
  appendGate: Promise<void> = Promise.resolve()
  partitionOf = () => 0
  partitionsOf = () => [0]
  placesOf = () => [0]
  consume = unused
  lag: TelemetryLog['lag'] = unused
  durability = unused
  close = async () => {}

  async append(topic: LogTopic, records: readonly LogRecord[]): Promise<ReadonlyMap<number, number>> {
    await this.appendGate
    const first = this.#topics[topic].length
    this.#topics[topic].push(...records)
    this.#appended.resolve()
    this.#appended = Promise.withResolvers()
    return new Map([[0, first]])
  }

  async *read({ topic, from, maxRecords, follow, signal }: ReadOptions): AsyncIterable<LogBatch> {
    const all = this.#topics[topic]
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    let next = from === 'end' ? all.length : 'offset' in from ? from.offset : unused()
    const end = follow ? Infinity : all.length
    this.reading += 1
    try {
      while (next < end && !signal.aborted) {
        const records = all.slice(next, Math.min(next + maxRecords, end))
        if (records.length === 0) await Promise.race([this.#appended.promise, stopped])
        else yield { topic, log: 'memory', partition: 0, firstOffset: next, records }
        next += records.length
      }
    } finally {
      this.reading -= 1
    }
  }

  async offsets(topic: LogTopic) {
    return [{ partition: 0, start: 0, end: this.#topics[topic].length, newest: this.#topics[topic].at(-1) }]
  }

  records(topic: LogTopic): readonly LogRecord[] {
    return this.#topics[topic]
  }
}

/** One point per entry, no aggregates: what the HTTP layer passes on is what counts here. */
export class MemoryPoints implements PointStore {
  readonly #batches: PointBatch[] = []
  readonly queries: PointQuery[] = []
  sync = async () => {}
  delete = unused
  devices = unused
  setRetention = unused
  retention = unused
  snapshot = unused
  scan = unused
  close = async () => {}

  async write(batch: PointBatch) {
    this.#batches.push(batch)
    return []
  }

  async query(query: PointQuery) {
    this.queries.push(query)
    if (query.cursor !== undefined && !/^\d+$/.test(query.cursor)) throw new SluiceError('cursor_invalid', 'no cursor')
    const skip = Number(query.cursor ?? 0)
    const inRange = (time: Instant) =>
      (query.from === undefined || compareInstants(time, query.from) >= 0) &&
      (query.to === undefined || compareInstants(time, query.to) < 0)
    const mine = this.#rows().filter(
      ({ series, time }) =>
        series.tenant === query.tenant &&
        series.device === query.device &&
        series.stream === query.stream &&
        (query.field === undefined || series.field === query.field) &&
        inRange(time),
    )
    const page = mine.slice(skip, skip + query.limit)
    const complete = skip + page.length === mine.length
    const fields = [...new Set(page.map(({ series }) => series.field))].sort()
    const series = fields.map((field) => {
      const rows = page.filter((row) => row.series.field === field)
      const type = rows[0]?.series.type ?? 'float'
      return {
        stream: query.stream,
        field,
        type,
        times: rows.map((row) => row.time),
        values: rows.map((row) => row.value),
      }
    })
    return { series, complete, next: complete ? undefined : String(skip + page.length), leftOut: [] }
  }

  async series(tenant: string, device: string) {
    const mine = this.#rows().filter(({ series }) => series.tenant === tenant && series.device === device)
    const found = new Map(
      mine.map(({ series: { stream, field, type } }) => [`${stream}/${field}`, { stream, field, type }]),
    )
    return [...found.values()].sort((a, b) => (`${a.stream}/${a.field}` < `${b.stream}/${b.field}` ? -1 : 1))
  }

  #rows() {
    return this.#batches.flatMap(({ series, ms, ns, values }) =>
      series.map((one, i) => ({ series: one, time: { ms: ms[i] ?? 0, ns: ns[i] ?? 0 }, value: values[i] ?? 0 })),
    )
  }
}

export class MemoryCache implements Cache {
  available = true
  readonly #entries = new Map<string, string>()
  get = async (key: string) => this.#entries.get(key)
  getMany = async (keys: readonly string[]) => keys.map((key) => this.#entries.get(key))
  close = async () => {}

  async setMany(entries: readonly { key: string; value: string }[]) {
    for (const { key, value } of entries) this.#entries.set(key, value)
  }

  async delete(keys: readonly string[]) {
    for (const key of keys) this.#entries.delete(key)
  }
}

/** One broker node; commands are kept. */
export class MemoryNodes implements BrokerNodes {
  readonly sent: DeviceCommand[] = []
  result: CommandResult = 'delivered'
  /** When each session was last heard. */
  heardMs: number | null = null

  async send(command: DeviceCommand) {
    this.sent.push(command)
    return this.result
  }

  async heard(sessions: readonly SessionOnNode[]) {
    return sessions.map(() => this.heardMs)
  }

  async list() {
    const address = { host: '127.0.0.1', port: 1883 }
    return [{ id: 'n1', address, clients: 3, inFlight: 2, sinceMs: 1_700_000_000_000 }]
  }
}
