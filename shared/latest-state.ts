import { decodeFieldValue, encodeFieldValue, type StoredValue } from './field-values.ts'
import type { FieldState, FieldValue, StreamState } from './registry/port.ts'
import { spans, type Tombstone } from './registry/tombstones-port.ts'
import { compareInstants, kindOf, type FieldType, type Instant, type PointValue, type Series } from './telemetry.ts'
import { encodeName } from './names.ts'
import type { TelemetryTopic } from './topics.ts'

/** A time further ahead of the receive time never becomes the latest: one wrong clock would hide all later values. */
export const MAX_AHEAD_MS = 5 * 60_000

/**
 * Fields kept per stream: as many as one reading may have. A device that makes up names would grow its state for ever;
 * with one more the field that was first seen longest ago goes, and comes back with its next value.
 */
export const MAX_LATEST_FIELDS = 1000

/** Where in the cache the latest state of a stream lies. */
export function latestKey(tenant: string, device: string, stream: string): string {
  return `latest:${tenant}/${encodeName(device)}/${encodeName(stream)}`
}

/** Behind the value the last number, where the value is none. */
type EncodedField = StoredValue | readonly [...StoredValue, lastNumber: StoredValue]

interface EncodedState extends Omit<StreamState, 'fields'> {
  readonly fields: Readonly<Record<string, EncodedField>>
}

/** A state as JSON, for the cache. */
export function encodeLatest(state: StreamState): string {
  const fields = Object.entries(state.fields).map(([name, field]): [string, EncodedField] => {
    const newest = encodeFieldValue(field)
    return [name, field.lastNumber === undefined ? newest : [...newest, encodeFieldValue(field.lastNumber)]]
  })
  return JSON.stringify({ ...state, fields: Object.fromEntries(fields) })
}

/** Inverse of {@link encodeLatest}; undefined for a text that is not of this version's making. */
export function decodeLatest(text: string): StreamState | undefined {
  const parsed = parse(text)
  if (parsed === undefined) return undefined
  const fields = Object.entries(parsed.fields).map(([name, [ms, ns, type, value, number]]): [string, FieldState] => {
    const lastNumber = number === undefined ? {} : { lastNumber: decodeFieldValue(number) }
    return [name, { ...decodeFieldValue([ms, ns, type, value]), ...lastNumber }]
  })
  return { ...parsed, fields: Object.fromEntries(fields) }
}

function parse(text: string): EncodedState | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isEncodedState(value) ? value : undefined
  } catch (error) {
    // Only what is no JSON; the cache may hold what another version wrote.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function isEncodedState(value: unknown): value is EncodedState {
  if (typeof value !== 'object' || value === null) return false
  const { fields, log, offset, partition, lastSeenMs } = value as Partial<Record<keyof EncodedState, unknown>>
  if (typeof fields !== 'object' || fields === null) return false
  if (typeof log !== 'string') return false
  if (typeof offset !== 'number' || typeof partition !== 'number' || typeof lastSeenMs !== 'number') return false
  return Object.values(fields).every((field) => Array.isArray(field) && (field.length === 4 || field.length === 5))
}

/** What is kept of a field while merging; replaced in place, because this is done for every point. */
interface LatestField {
  ms: number
  ns: number
  type: FieldType
  value: PointValue
  /** The newest number; undefined when the value is the newest, or there is none. */
  number: FieldValue | undefined
}

/**
 * Latest state of one stream while records are merged into it, in log order. Per field the newest time wins, and of two
 * values for one time the later in the log. Last seen is the receive time, whatever the device says.
 */
export class LatestStream {
  readonly names: TelemetryTopic
  readonly #fields = new Map<string, LatestField>()
  #lastSeenMs = 0
  #log = ''
  #partition = -1
  #offset = -1
  /** Changes with every record that goes in. */
  version = 0

  constructor(names: TelemetryTopic, from?: StreamState) {
    this.names = names
    if (from === undefined) return
    for (const [name, { time, type, value, lastNumber }] of Object.entries(from.fields)) {
      this.#fields.set(name, { ms: time.ms, ns: time.ns, type, value, number: lastNumber })
    }
    this.#lastSeenMs = from.lastSeenMs
    this.#log = from.log
    this.#partition = from.partition
    this.#offset = from.offset
  }

  /** True when the record is among what is merged already: a replay, which must not put older values back. */
  covers(log: string, partition: number, offset: number): boolean {
    return log === this.#log && partition === this.#partition && offset <= this.#offset
  }

  /** A record with stored readings, before its points. */
  see(record: { readonly ms: number }, log: string, partition: number, offset: number): void {
    this.#lastSeenMs = Math.max(this.#lastSeenMs, record.ms)
    this.#log = log
    this.#partition = partition
    this.#offset = offset
    this.version += 1
  }

  /** One point of a record that was received at `receivedMs`. */
  merge(series: Series, ms: number, ns: number, value: PointValue, receivedMs: number): void {
    if (ms > receivedMs + MAX_AHEAD_MS) return
    const field = this.#fields.get(series.field)
    if (field === undefined) this.#add(series.field, { ms, ns, type: series.type, value, number: undefined })
    else if (ms > field.ms || (ms === field.ms && ns >= field.ns)) {
      if (series.type !== field.type) keepNumber(field, series.type)
      field.ms = ms
      field.ns = ns
      field.type = series.type
      field.value = value
    } else if (kindOf(field.type) !== 'number' && kindOf(series.type) === 'number') {
      // A number from before the word: the newest of the numbers, perhaps.
      const known = field.number?.time
      if (known === undefined || compareInstants({ ms, ns }, known) >= 0) {
        field.number = { time: { ms, ns }, type: series.type, value }
      }
    }
  }

  #add(name: string, field: LatestField): void {
    if (this.#fields.size >= MAX_LATEST_FIELDS) {
      const [oldest] = this.#fields.keys()
      if (oldest !== undefined) this.#fields.delete(oldest)
    }
    this.#fields.set(name, field)
  }

  /** Takes out what was deleted: a field with it whose number before it was not, goes back to that. False for nothing. */
  erase(tombstone: Tombstone): boolean {
    const isIn = (time: Instant): boolean => spans(tombstone, this.names.stream, time)
    let erased = false
    for (const [name, field] of this.#fields) {
      const { ms, ns, number } = field
      const kept = number !== undefined && !isIn(number.time) ? number : undefined
      if (isIn({ ms, ns })) {
        if (kept === undefined) this.#fields.delete(name)
        else this.#fields.set(name, { ...kept.time, type: kept.type, value: kept.value, number: undefined })
      } else if (kept !== number) field.number = undefined
      else continue
      erased = true
    }
    if (erased) this.version += 1
    return erased
  }

  /** A copy that later merges do not change. */
  toState(): StreamState {
    const fields = Array.from(this.#fields, ([name, { ms, ns, type, value, number }]): [string, FieldState] => [
      name,
      { time: { ms, ns }, type, value, ...(number === undefined ? {} : { lastNumber: number }) },
    ])
    return {
      ...this.names,
      fields: Object.fromEntries(fields),
      lastSeenMs: this.#lastSeenMs,
      log: this.#log,
      partition: this.#partition,
      offset: this.#offset,
    }
  }
}

/** A value of another type is about to take the place of the field's. */
function keepNumber(field: LatestField, type: FieldType): void {
  if (kindOf(type) === 'number') field.number = undefined
  else if (kindOf(field.type) === 'number') {
    const { ms, ns, value } = field
    field.number = { time: { ms, ns }, type: field.type, value }
  }
}
