import { ByDeviceDecoder } from './by-device.ts'
import { DecodedColumns, type Decoded } from './decoded.ts'
import { DeclaredDecoder } from './declared.ts'
import { decodeHandedOn } from './handed-on.ts'
import { SluiceError } from '../errors.ts'
import { faultOfRecord, type Fault } from '../faults.ts'
import { JsonDecoder } from './json.ts'
import { LinesDecoder } from './lines.ts'
import type { UploadedDecoders } from './payload-decoder.ts'
import { StreamSeries, type SeriesCount } from './series.ts'
import { PolicyTable } from '../policies/policy-table.ts'
import { LINES_HEADER, loginOfKey, SAME_TIME_HEADER } from '../record.ts'
import { UNREADABLE, type LogRecord } from '../telemetry.ts'
import {
  DEFAULT_STREAM,
  formatTelemetryTopic,
  parseDeviceKey,
  parseTelemetryTopic,
  parseTenantTopic,
  type TelemetryTopic,
} from '../topics.ts'

export type { Decoded, Suspect } from './decoded.ts'

/**
 * Series kept at most, as a default: what 20,000 devices of ten fields have in use, about 60 MB when full.
 * One that is made again after it was forgotten only costs adapters the work they had hung on the old object.
 */
const DEFAULT_MAX_SERIES = 200_000

/** A stream that uses ever new names is forgotten in turn although it is in use; no honest one has so many. */
const MAX_STREAM_SERIES = 5000

/** A defect of a decoder stops its record, not the partition behind it. */
const DECODER_TRIES = 3
const NO_DEFECTS: ReadonlyMap<number, string> = new Map()
const NO_REPEATS: ReadonlySet<number> = new Set()

export interface SeriesTableOptions {
  /** Bound of the series kept, >= 1; a run of records may exceed it by its own series until the next run. */
  readonly maxSeries?: number
  /** Decoders that policies may name beside those that Sluice has. */
  readonly uploaded?: UploadedDecoders
}

/**
 * The series in use, interned: a series is the same object in every run as long as it is used. Bounded in two
 * generations: when the young one holds half of the bound, the old one is forgotten and the young one becomes old.
 * Also keeps what the decoder learns (field names), so one table belongs to one loop of {@link decodeRecords} calls.
 */
export class SeriesTable {
  readonly decoder = new JsonDecoder()
  readonly policies = new PolicyTable()
  readonly declared: DeclaredDecoder
  readonly byDevice = new ByDeviceDecoder(this.decoder)
  readonly lines = new LinesDecoder(this)
  readonly uploaded: UploadedDecoders | undefined
  readonly #half: number
  #young = new Map<string, StreamSeries>()
  #old = new Map<string, StreamSeries>()
  #count: SeriesCount = { series: 0 }
  #oldCount: SeriesCount = { series: 0 }

  constructor(options: SeriesTableOptions = {}) {
    this.uploaded = options.uploaded
    this.declared = new DeclaredDecoder(this.decoder, options.uploaded)
    this.#half = Math.max(1, Math.floor((options.maxSeries ?? DEFAULT_MAX_SERIES) / 2))
  }

  /** Series kept, for a metric. */
  get size(): number {
    return this.#count.series + this.#oldCount.series
  }

  /** Between runs is when series are forgotten: within one, equal series are the same object without exception. */
  beginRun(): void {
    if (this.#count.series < this.#half) return
    this.#old = this.#young
    this.#oldCount = this.#count
    this.#young = new Map()
    this.#count = { series: 0 }
  }

  /** The stream a record belongs to, of the device that its key names, or what is wrong with its name. */
  streamOf(record: LogRecord): StreamSeries | string {
    const { key } = record
    const topic = record.headers?.['topic']
    const id = topic ?? idOfKey(key)
    const known = this.#young.get(id)
    if (known !== undefined && known.key === key) return known
    const alias = topic === undefined ? id : `${key} ${topic}`
    const called = this.#young.get(alias)
    if (called !== undefined && called.key === key) return called
    const owner = parseDeviceKey(key)
    const parsed = topic === undefined ? owner : parseTelemetryTopic(topic)
    if (owner === undefined || parsed === undefined) return `${topic ?? key} does not name a device`
    if (owner.tenant !== parsed.tenant) return `the key ${key} does not match the topic ${topic}`
    const stream = 'stream' in parsed ? parsed.stream : DEFAULT_STREAM
    const found = this.#streamNamed(key, { tenant: owner.tenant, device: owner.device, stream })
    if (owner.device !== parsed.device) this.#young.set(alias, found)
    return found
  }

  /** A stream of the device that a key names, or what is wrong with that. */
  streamOfDevice(key: string, stream: string): StreamSeries | string {
    const owner = parseDeviceKey(key)
    return owner === undefined ? `${key} does not name a device` : this.#streamNamed(key, { ...owner, stream })
  }

  #streamNamed(key: string, names: TelemetryTopic): StreamSeries {
    // The default stream can be spelt in three ways, and is kept under one.
    return this.#intern(names.stream === DEFAULT_STREAM ? idOfKey(key) : formatTelemetryTopic(names), names)
  }

  #intern(id: string, names: TelemetryTopic): StreamSeries {
    const known = this.#young.get(id)
    if (known !== undefined) return known
    let stream = this.#old.get(id)
    if (stream !== undefined && stream.size <= MAX_STREAM_SERIES) {
      this.#old.delete(id)
      stream.moveTo(this.#count)
    } else stream = new StreamSeries(names, this.#count)
    this.#young.set(id, stream)
    return stream
  }
}

/** A key of tenant `t` could be the topic of a stream of somebody else. */
function idOfKey(key: string): string {
  return key.startsWith('t/') ? `/${key}` : key
}

/**
 * Decodes records in order. An integer that no double holds exactly is a bigint, in a series of type float: whoever stores
 * it knows what the field was declared. Throws only `policy_unknown`, for records whose policies were not
 * learnt before (`PolicyTable.learn`): every field of every record is among the points or among the faults, alone
 * where it can be told from its neighbours. A record at which a decoder itself fails three times is one fault, code
 * `decoder_failed`. Times are the device's own, or else the record's receive time plus a step per element, see
 * stamps/scheme.ts. What is not of the device that a record's key names is among `others`. Records whose index is in
 * `repeats` give nothing.
 */
export function decodeRecords(
  records: readonly LogRecord[],
  table: SeriesTable,
  repeats: ReadonlySet<number> = NO_REPEATS,
): Decoded {
  const [unknown] = table.policies.missing(records)
  if (unknown !== undefined) throw new SluiceError('policy_unknown', `the policies ${unknown} were not looked up`)
  try {
    return decodeRun(records, table, NO_DEFECTS, repeats)
  } catch {
    // Which record it was is found out below; a defect that does not come again was none of theirs.
    return decodeRun(records, table, defectsOf(records, table), repeats)
  }
}

/** Where a decoder throws although it is given the record alone, and again, with the stack by the record's index. */
function defectsOf(records: readonly LogRecord[], table: SeriesTable): Map<number, string> {
  const defects = new Map<number, string>()
  for (const [index, record] of records.entries()) {
    for (let tries = 1; tries <= DECODER_TRIES; tries += 1) {
      try {
        decodeRun([record], table, NO_DEFECTS, NO_REPEATS)
        break
      } catch (error) {
        if (tries === DECODER_TRIES) defects.set(index, stackOf(error))
      }
    }
  }
  return defects
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function decodeRun(
  records: readonly LogRecord[],
  table: SeriesTable,
  defects: ReadonlyMap<number, string>,
  repeats: ReadonlySet<number>,
): DecodedColumns {
  const out = new DecodedColumns()
  table.beginRun()
  let next = 0
  for (const record of records) {
    const index = next++
    const defect = defects.size > 0 ? defects.get(index) : undefined
    if (defect !== undefined) {
      out.refuse(index, faultOfRecord('decoder_failed', defect))
      continue
    }
    if (repeats.size > 0 && repeats.has(index)) continue
    if (record.headers !== undefined && decodeOther(record, index, table, out)) continue
    const stream = table.streamOf(record)
    if (typeof stream === 'string') out.refuse(index, faultOfUnknown(record, stream))
    else {
      const policy = table.policies.of(record, stream.stream)
      table.decoder.policy = policy
      out.setSameTime(index, policy.same_time)
      if (policy.decoder === 'auto' && policy.encoding === 'none') table.decoder.decode(record, index, stream, out)
      else table.declared.decode(record, index, stream, out)
    }
  }
  return out
}

/** What stands for a whole batch of the log names no device either. */
function faultOfUnknown({ headers }: LogRecord, detail: string): Fault {
  const unreadable = headers?.[UNREADABLE]
  return unreadable === undefined
    ? faultOfRecord('topic_unknown', detail)
    : faultOfRecord('batch_unreadable', unreadable)
}

/** True for a record whose payload is not that of one device: what was handed on, or holds several devices. */
function decodeOther(record: LogRecord, index: number, table: SeriesTable, out: DecodedColumns): boolean {
  if (record.headers?.['form'] !== undefined) {
    const rule = record.headers[SAME_TIME_HEADER]
    if (rule === 'keep' || rule === 'last') out.setSameTime(index, rule)
    const wrong = decodeHandedOn(record, index, (stream) => table.streamOfDevice(record.key, stream), out)
    if (wrong !== undefined) out.refuse(index, faultOfRecord('form_unknown', wrong))
    return true
  }
  if (record.headers?.[LINES_HEADER] !== undefined) {
    const rule = table.policies.of(record, DEFAULT_STREAM).same_time
    // As InfluxDB does: what is posted again changes nothing, also where it was written to in between.
    out.setSameTime(index, rule === 'by_kind' ? 'last' : rule)
    table.lines.decode(record, index, out)
    return true
  }
  // A device could be called as a login's key is; its topic is its own.
  if (loginOfKey(record.key) === undefined || parseTenantTopic(record.headers?.['topic'] ?? '') === undefined)
    return false
  table.decoder.policy = table.policies.of(record, DEFAULT_STREAM)
  out.setSameTime(index, table.decoder.policy.same_time)
  table.byDevice.decode(record, index, out)
  return true
}
