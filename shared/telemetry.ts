/** The contract between the parts: what a record, a reading and a point are, with their units. */

/**
 * A moment in nanoseconds since 1970-01-01T00:00:00Z, split so that doubles hold both halves exactly:
 * `ms` whole milliseconds (0 to 9,223,372,036,854), `ns` the rest within the millisecond (0 to 999,999).
 */
export interface Instant {
  readonly ms: number
  readonly ns: number
}

/**
 * Last storable moment, 2262-04-11T23:47:16.854775805Z. Two nanoseconds behind it 64 bits end; InfluxDB refuses the last
 * (`MaxNanoTime` in its models/time.go) and takes the one before, but no query shows it.
 */
export const MAX_INSTANT: Instant = { ms: 9_223_372_036_854, ns: 775_805 }

/**
 * The way in which the readings without a time of a record are placed; see stamps/scheme.ts. 2 is the same as 1, and says
 * that the clock was not known to be synchronised.
 */
export type StampScheme = 1 | 2

/**
 * The header of a record without a key that stands for a batch of another producer that cannot be read, with the reason;
 * its value is the whole batch.
 */
export const UNREADABLE = 'unreadable'

/** What the log keeps for one message. The payload is the bytes the device sent, untouched. */
export interface LogRecord {
  /** `{tenant}/{uid}` for telemetry: what keeps a device's records in one partition, whatever it is called. */
  readonly key: string
  readonly value: Uint8Array
  /** Receive time, whole milliseconds since 1970 and nanoseconds within (0 to 999,999). */
  readonly ms: number
  readonly ns: number
  /** How readings without a time of their own are placed after it; undefined for records of before 0.3. */
  readonly scheme?: StampScheme | undefined
  /** For telemetry see `record.ts`. Undefined rather than empty. */
  readonly headers: Readonly<Record<string, string>> | undefined
}

/** What a field's values are. Numbers are floats unless the field was declared an integer. */
export type FieldType = 'float' | 'integer' | 'boolean' | 'string'

/**
 * In the order in which the series of one field are answered: whoever keeps one of each field by its name, as a chart
 * does, keeps the last, the numbers.
 */
export const FIELD_TYPES: readonly FieldType[] = ['string', 'boolean', 'integer', 'float']

/** Of one field, values of different kinds lie side by side: each kind is a series of its own. */
export type Kind = 'number' | 'boolean' | 'text'

export const KINDS: readonly Kind[] = ['number', 'boolean', 'text']

const KIND_OF: Readonly<Record<FieldType | 'number', Kind>> = {
  number: 'number',
  float: 'number',
  integer: 'number',
  boolean: 'boolean',
  string: 'text',
}

export function kindOf(type: FieldType | 'number'): Kind {
  return KIND_OF[type]
}

/** Floats and safe integers as numbers; integers beyond 2^53 as bigint. */
export type PointValue = number | bigint | boolean | string

/**
 * The identity of a series. Objects are interned by the decoder: one object per series while it is in use, so that
 * adapters may hang prepared work (a line prefix, a numeric id) on its identity with a WeakMap.
 */
export interface Series {
  readonly tenant: string
  /** Its uid. */
  readonly device: string
  readonly stream: string
  readonly field: string
  readonly type: FieldType
  /**
   * The type whose points have the field's own name in a store that takes one type per name (InfluxDB); float when
   * absent. The registry knows it.
   */
  readonly plain?: FieldType
  /**
   * Where whoever writes it keeps what it last wrote of it, by number. A field, because a WeakMap asked for every point
   * costs as much as decoding it.
   */
  seat?: number | undefined
  /** Where whoever asks for the key of its stream with every record keeps it; see `streamKey`. */
  streamKey?: string | undefined
}

/**
 * Points as columns, index by index, in log order. Of two points with the same series and time the later index wins.
 */
export interface PointBatch {
  readonly series: Series[]
  /** Time: whole milliseconds since 1970, and nanoseconds within. */
  readonly ms: number[]
  readonly ns: number[]
  readonly values: PointValue[]
}

/** One batch after the other. */
export function concatenate(batches: readonly PointBatch[]): PointBatch {
  const [first] = batches
  if (batches.length === 1 && first !== undefined) return first
  return {
    series: batches.flatMap(({ series }) => series),
    ms: batches.flatMap(({ ms }) => ms),
    ns: batches.flatMap(({ ns }) => ns),
    values: batches.flatMap(({ values }) => values),
  }
}

/** An instant in whole nanoseconds. Not for hot paths. */
export function toNanoseconds({ ms, ns }: Instant): bigint {
  return BigInt(ms) * 1_000_000n + BigInt(ns)
}

/** Inverse of {@link toNanoseconds}; the argument must not be negative. */
export function fromNanoseconds(total: bigint): Instant {
  return { ms: Number(total / 1_000_000n), ns: Number(total % 1_000_000n) }
}

/** Negative when `a` is earlier than `b`, 0 when equal. */
export function compareInstants(a: Instant, b: Instant): number {
  return a.ms - b.ms || a.ns - b.ns
}

/** RFC 3339 in UTC with as many fraction digits as the instant needs (none, 3, 6 or 9). */
export function formatInstant({ ms, ns }: Instant): string {
  const base = new Date(ms).toISOString()
  if (ns === 0) return base.endsWith('.000Z') ? `${base.slice(0, -5)}Z` : base
  const rest = String(ns).padStart(6, '0')
  return `${base.slice(0, -1)}${rest.endsWith('000') ? rest.slice(0, 3) : rest}Z`
}
