import { hash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ingestWorkerSettings } from '../../config/ingest-worker.ts'
import type { Config } from '../../shared/config.ts'
import { LruMap } from '../../shared/lru.ts'
import type { DeviceFields, StreamFields } from '../../shared/registry/fields-port.ts'
import type { Series } from '../../shared/telemetry.ts'
import { deviceKey, streamKey } from '../../shared/topics.ts'
import type { LimitNotes } from './limit-notes.ts'
import type { IngestMetrics } from './metrics.ts'
import type { Retry } from './retry.ts'

/** Marks kept of devices that made new series lately, beyond those of the run: about 20 MB. */
const MAX_MARKS = 200_000
/** Tenants whose count is kept. */
const MAX_TENANTS = 10_000
/** Series that are looked at in one go, about a millisecond: one device may bring thousands that are new. */
const AT_ONCE = 500
/** What other workers admit is seen so late. */
const COUNT_EVERY_MS = 60_000

export type FieldLimits = Pick<
  Config<typeof ingestWorkerSettings>,
  'INGEST_DEVICE_FIELDS' | 'INGEST_DEVICE_STREAMS' | 'INGEST_TENANT_FIELDS'
>

interface KnownDevice {
  readonly streams: Map<string, Set<string>>
  fields: number
}

interface KnownTenant {
  fields: number
  readonly countedMs: number
}

export interface FieldBudgetOptions {
  readonly registry: { readonly fields: DeviceFields }
  readonly retry: Retry
  readonly metrics: IngestMetrics
  readonly limits: FieldLimits
  readonly notes: Pick<LimitNotes, 'acted'>
}

/**
 * How many streams and fields a device, and a tenant, may have: one that makes up names would cost everybody time, and
 * memory and disk for good. What is known stays; the registry is told of what is new before it is stored, so no restart
 * begins the count again. A worker asks about series that it has not met lately, and so never about those in use.
 */
export class FieldBudget {
  readonly #options: FieldBudgetOptions
  /** In order of use. */
  readonly #devices = new Map<string, KnownDevice>()
  readonly #tenants = new LruMap<string, KnownTenant>(MAX_TENANTS)
  readonly #reasons: Readonly<Record<keyof FieldLimits, string>>
  #marks = 0
  #isStale = false

  constructor(options: FieldBudgetOptions) {
    this.#options = options
    const { limits } = options
    const reason = (name: keyof FieldLimits, what: string): string => `${what} (${name} ${limits[name]})`
    const another = 'as it may have, and this is another one'
    this.#reasons = {
      INGEST_DEVICE_STREAMS: reason('INGEST_DEVICE_STREAMS', `the device has as many streams ${another}`),
      INGEST_DEVICE_FIELDS: reason('INGEST_DEVICE_FIELDS', `the device has as many fields ${another}`),
      INGEST_TENANT_FIELDS: reason(
        'INGEST_TENANT_FIELDS',
        'the devices of the tenant have as many fields as they may have',
      ),
    }
  }

  /** Those of the series that are not to be stored, each with the reason. The others are in the registry from now on. */
  async admit(series: readonly Series[]): Promise<ReadonlyMap<Series, string>> {
    const { limits, notes } = this.#options
    const refused = new Map<Series, string>()
    const changed = new Map<string, Series>()
    if (this.#isStale) this.#clear()
    await this.#load(series)
    let looked = 0
    for (const { first, device, run } of this.#byDevice(series)) {
      let [over, count]: [keyof FieldLimits | undefined, number] = [undefined, 0]
      for (const one of run) {
        if (++looked % AT_ONCE === 0) await nextTurn()
        const entered = this.#enter(device, one)
        if (entered === 'new') changed.set(streamKey(one), one)
        else if (entered !== 'known') {
          refused.set(one, this.#reasons[entered])
          over = entered
          count += 1
        }
      }
      if (over !== undefined) notes.acted(first.tenant, first.device, limits[over], count)
    }
    const rows = [...changed.values()].map((one) => this.#rowOf(one))
    if (rows.length > 0) await this.#options.retry.run('registry', () => this.#options.registry.fields.write(rows))
    this.#shrink()
    this.#options.metrics.refusedFields.inc(refused.size)
    return refused
  }

  /** Partitions changed hands: others may have admitted something since. */
  forget(): void {
    this.#isStale = true
  }

  /** Series that stand side by side and are of one device. */
  *#byDevice(series: readonly Series[]): Generator<{ first: Series; device: KnownDevice; run: readonly Series[] }> {
    let from = 0
    for (let to = 1; to <= series.length; to += 1) {
      const [first, next] = [series[from], series[to]]
      if (first === undefined || (next?.tenant === first.tenant && next.device === first.device)) continue
      const device = this.#devices.get(deviceKey(first.tenant, first.device))
      if (device === undefined) throw new RangeError('a device was not loaded')
      yield { first, device, run: series.slice(from, to) }
      from = to
    }
  }

  #clear(): void {
    this.#isStale = false
    this.#devices.clear()
    this.#marks = 0
  }

  /** Whether it is known, or new and admitted; else the limit that it is beyond. */
  #enter(device: KnownDevice, { tenant, stream, field }: Series): 'known' | 'new' | keyof FieldLimits {
    const { limits } = this.#options
    const mark = hash('sha256', field, 'base64url').slice(0, 8)
    const marks = device.streams.get(stream)
    if (marks?.has(mark) === true) return 'known'
    const known = this.#tenants.peek(tenant)
    if (marks === undefined && device.streams.size >= limits.INGEST_DEVICE_STREAMS) return 'INGEST_DEVICE_STREAMS'
    if (device.fields >= limits.INGEST_DEVICE_FIELDS) return 'INGEST_DEVICE_FIELDS'
    if (known !== undefined && known.fields >= limits.INGEST_TENANT_FIELDS) return 'INGEST_TENANT_FIELDS'
    if (marks === undefined) device.streams.set(stream, new Set([mark]))
    else marks.add(mark)
    device.fields += 1
    this.#marks += 1
    if (known !== undefined) known.fields += 1
    return 'new'
  }

  /** The devices and tenants of the series are known, and the devices those used last. */
  async #load(series: readonly Series[]): Promise<void> {
    const { registry, retry } = this.#options
    const missing = new Map<string, { tenant: string; device: string }>()
    const tenants = new Set<string>()
    let previous: Series | undefined
    for (const one of series) {
      const { tenant, device } = one
      if (tenant === previous?.tenant && device === previous.device) continue
      previous = one
      const key = deviceKey(tenant, device)
      const known = this.#devices.get(key)
      tenants.add(tenant)
      this.#devices.delete(key)
      if (known === undefined) missing.set(key, { tenant, device })
      else this.#devices.set(key, known)
    }
    for (const key of missing.keys()) this.#devices.set(key, { streams: new Map(), fields: 0 })
    if (missing.size > 0) {
      const load = () => registry.fields.of([...missing.values()])
      try {
        for (const row of await retry.run('registry', load)) this.#take(row)
      } catch (error) {
        // Given up: nothing of these is known.
        for (const key of missing.keys()) this.#devices.delete(key)
        throw error
      }
    }
    for (const tenant of tenants) await this.#count(tenant)
  }

  #take({ tenant, device, stream, marks }: StreamFields): void {
    const known = this.#devices.get(deviceKey(tenant, device))
    if (known === undefined) return
    known.streams.set(stream, new Set(marks))
    known.fields += marks.length
    this.#marks += marks.length
  }

  async #count(tenant: string): Promise<void> {
    const { registry, retry } = this.#options
    const known = this.#tenants.get(tenant)
    const now = performance.now()
    if (known !== undefined && now - known.countedMs < COUNT_EVERY_MS) return
    const fields = await retry.run('registry', () => registry.fields.countOf(tenant))
    this.#tenants.set(tenant, { fields, countedMs: now })
  }

  /** Those that made something new longest ago go first. */
  #shrink(): void {
    for (const [key, device] of this.#devices) {
      if (this.#marks <= MAX_MARKS) return
      this.#devices.delete(key)
      this.#marks -= device.fields
    }
  }

  /** The stream as it is now, whole. */
  #rowOf({ tenant, device, stream }: Series): StreamFields {
    const marks = this.#devices.get(deviceKey(tenant, device))?.streams.get(stream) ?? []
    return { tenant, device, stream, marks: [...marks] }
  }
}
