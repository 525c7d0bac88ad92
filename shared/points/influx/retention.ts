import { flux } from '@influxdata/influxdb-client'
import type { Instant } from '../../telemetry.ts'
import { compareText } from '../../text-order.ts'
import type { Retention } from '../port.ts'
import { cellOf } from './csv.ts'
import { ALL_TIME, instant } from './flux.ts'
import { escapeKey } from './lines.ts'
import type { InfluxReader } from './reader.ts'

/**
 * Where the retention of tenants is kept: in the bucket itself, so that all processes see it, in a measurement that no
 * stream can have (it holds no dot), and so late that no retention of the bucket ever takes it.
 */
const MEASUREMENT = 'sluice_retention'
const TIME: Instant = { ms: Date.UTC(2262, 0, 1), ns: 0 }

/** How long another process may not know of a change. */
const REFRESH_MS = 10_000

interface Kept {
  /** 0 = for ever. */
  readonly keepMs: number
  /** When points past it were last deleted, in ms since 1970. */
  readonly expiredMs: number
}

/** How long the points of each tenant are kept, as the bucket says. */
export class TenantRetention {
  readonly #reader: InfluxReader
  readonly #bucket: string
  readonly #write: (line: string) => Promise<void>
  #known = new Map<string, Kept>()
  #readAt = -Infinity
  #reading: Promise<void> | undefined

  constructor(options: { reader: InfluxReader; bucket: string; write: (line: string) => Promise<void> }) {
    this.#reader = options.reader
    this.#bucket = options.bucket
    this.#write = options.write
  }

  /** Undefined = for ever. Asks the server when what it knows is older than 10 s. */
  async keepMs(tenant: string): Promise<number | undefined> {
    if (performance.now() - this.#readAt > REFRESH_MS) await this.#refresh()
    const keepMs = this.#known.get(tenant)?.keepMs ?? 0
    return keepMs === 0 ? undefined : keepMs
  }

  /** Every tenant whose points expire and whose last deletion began before `before`. */
  async due(before: number): Promise<{ tenant: string; keepMs: number }[]> {
    await this.#refresh()
    return [...this.#known].flatMap(([tenant, { keepMs, expiredMs }]) => {
      return keepMs > 0 && expiredMs < before ? { tenant, keepMs } : []
    })
  }

  /** What was set, by tenant. */
  async list(): Promise<Retention['tenants']> {
    await this.#refresh()
    const set = Array.from(this.#known, ([tenant, { keepMs }]) => ({ tenant, keepMs })).filter(
      ({ keepMs }) => keepMs > 0,
    )
    return set.sort((a, b) => compareText(a.tenant, b.tenant))
  }

  async set(tenant: string, keepMs: number | undefined): Promise<void> {
    await this.#put(tenant, 'keep_ms', keepMs ?? 0)
    this.#readAt = -Infinity
  }

  async expired(tenant: string, atMs: number): Promise<void> {
    await this.#put(tenant, 'expired_ms', atMs)
  }

  async #put(tenant: string, field: 'keep_ms' | 'expired_ms', value: number): Promise<void> {
    await this.#write(`${MEASUREMENT},tenant=${escapeKey(tenant)} ${field}=${value}i ${TIME.ms}000000\n`)
  }

  #refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  async #read(): Promise<void> {
    const known = new Map<string, Kept>()
    const query = flux`from(bucket: ${this.#bucket})
  |> range(start: ${instant(TIME)}, stop: ${instant(ALL_TIME.to)})
  |> filter(fn: (r) => r._measurement == ${MEASUREMENT})
  |> keep(columns: ["tenant", "_field", "_value"])`
    await this.#reader.ask(query, (table, cells) => {
      const tenant = cellOf(table, cells, 'tenant')
      const value = Number(cellOf(table, cells, '_value'))
      const { keepMs, expiredMs } = known.get(tenant) ?? { keepMs: 0, expiredMs: 0 }
      const isKeep = cellOf(table, cells, '_field') === 'keep_ms'
      known.set(tenant, isKeep ? { keepMs: value, expiredMs } : { keepMs, expiredMs: value })
    })
    this.#known = known
    this.#readAt = performance.now()
  }
}
