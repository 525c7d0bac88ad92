import { randomBytes } from 'node:crypto'
import type { Cache } from '../../../shared/cache/port.ts'
import { SluiceError } from '../../../shared/errors.ts'
import type { LogBatch, LogTopic, ReadOptions, TelemetryLog } from '../../../shared/log/port.ts'
import type { PointQuery, PointStore } from '../../../shared/points/port.ts'
import type { Application, Device, NewCredentials, Registry, StreamState } from '../../../shared/registry/port.ts'
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
  consume = unused
  lag = unused
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
        else yield { topic, partition: 0, firstOffset: next, records }
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
  snapshot = unused
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
    return { series, complete, next: complete ? undefined : String(skip + page.length) }
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

export class MemoryRegistry implements Registry {
  readonly #devices = new Map<string, Device>()
  readonly #applications = new Map<string, Application>()
  readonly #tokens = new Map<string, string>()
  readonly #states = new Map<string, StreamState>()
  readonly audited: string[] = []
  readonly adminKey = randomBytes(24).toString('base64url')
  keyChecks = 0
  verifySecret = unused
  applicationPrincipal = unused
  onChange = () => () => {}
  pinFieldTypes = unused
  readStreams = unused
  setAdminKey = unused
  close = async () => {}

  async createDevices(devices: readonly { tenant: string; device: string; tags?: Readonly<Record<string, string>> }[]) {
    for (const { tenant, device } of devices) {
      if (!/^[A-Za-z0-9_.-]{1,64}$/.test(tenant) || !/^[A-Za-z0-9_.-]{1,64}$/.test(device)) {
        throw new SluiceError('name_invalid', `"${tenant}/${device}" is not a name`)
      }
      if (this.#devices.has(`${tenant}/${device}`))
        throw new SluiceError('already_exists', `${tenant}/${device} exists`)
    }
    return devices.map(({ tenant, device, tags = {} }) => {
      this.#devices.set(`${tenant}/${device}`, {
        tenant,
        device,
        tags,
        createdMs: 1_700_000_000_000,
        lastSeenMs: undefined,
      })
      return this.#login(`${tenant}/${device}`)
    })
  }

  #login(username: string): NewCredentials {
    const token = randomBytes(24).toString('base64url')
    this.#tokens.set(token, username)
    return { username, secret: randomBytes(24).toString('base64url'), token }
  }

  async getDevice(tenant: string, device: string) {
    return this.#devices.get(`${tenant}/${device}`)
  }

  async listDevices({ tenant, cursor = '', limit }: { tenant?: string; cursor?: string; limit: number }) {
    const names = [...this.#devices.keys()].filter(
      (name) => name > cursor && (tenant === undefined || name.startsWith(`${tenant}/`)),
    )
    const page = names.sort().slice(0, limit)
    const items = page.map((name) => this.#devices.get(name)).filter((device) => device !== undefined)
    return { items, next: page.length < names.length ? page.at(-1) : undefined }
  }

  async removeDevice(tenant: string, device: string) {
    if (!this.#devices.delete(`${tenant}/${device}`)) throw new SluiceError('not_found', `no ${tenant}/${device}`)
  }

  async createApplication(name: string, rules: Application['rules']) {
    if (this.#applications.has(name)) throw new SluiceError('already_exists', `${name} exists`)
    this.#applications.set(name, { name, rules, createdMs: 1_700_000_000_000 })
    return this.#login(name)
  }

  getApplication = async (name: string) => this.#applications.get(name)
  listApplications = async () => [...this.#applications.values()]

  async setRules(name: string, rules: Application['rules']) {
    const application = await this.getApplication(name)
    if (application === undefined) throw new SluiceError('not_found', `no ${name}`)
    this.#applications.set(name, { ...application, rules })
  }

  async removeApplication(name: string) {
    if (!this.#applications.delete(name)) throw new SluiceError('not_found', `no ${name}`)
  }

  async verifyToken(token: string) {
    const name = this.#tokens.get(token)
    if (name === undefined) return undefined
    const [tenant = '', device] = name.split('/')
    if (device !== undefined) return { kind: 'device' as const, name, tenant, device }
    return { kind: 'application' as const, name, rules: this.#applications.get(name)?.rules ?? [] }
  }

  async verifyApiKey(key: string) {
    this.keyChecks += 1
    return key === this.adminKey ? 'admin' : undefined
  }

  readState = async (tenant: string, device: string) =>
    [...this.#states.values()].filter((state) => state.tenant === tenant && state.device === device)

  async writeState(rows: readonly StreamState[]) {
    for (const row of rows) this.#states.set(`${row.tenant}/${row.device}/${row.stream}`, row)
  }

  async audit({ who, action, subject }: { who: string; action: string; subject: string }) {
    this.audited.push(`${who} ${action} ${subject}`)
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
