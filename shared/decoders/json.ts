import { DecodedColumns } from './decoded.ts'
import type { ErrorCode } from '../errors.ts'
import { StreamSeries } from './series.ts'
import { formatInstant, type LogRecord } from '../telemetry.ts'
import { JsonReading, REJECTED } from './json-reading.ts'
import { JsonScanner, SYNTAX } from './json-scanner.ts'
import { MAX_ELEMENTS, reservedElements } from '../stamps/reservation.ts'
import { STAMP_STEP } from '../stamps/scheme.ts'

/** Readings in one payload. */
export const MAX_READINGS = MAX_ELEMENTS
/** Times before this are those of a clock that was never set: 2000-01-01T00:00:00Z. */
const SUSPECT_BEFORE_MS = 946_684_800_000
/** Times further ahead of the receive time are those of a clock that is wrong. */
const SUSPECT_AHEAD_MS = 24 * 3_600_000

const NANOSECONDS_PER_MS = 1_000_000

const COMMA = 0x2c
const ARRAY = 0x5b
const ARRAY_END = 0x5d
const OBJECT = 0x7b

/**
 * The JSON decoder: one pass over the bytes of a payload into columns, without an object per reading.
 * What each payload becomes is written in docs/payloads.md. A payload is one reading or an array of readings; what is
 * wrong with one reading rejects that reading, what is no JSON rejects the payload. Of several faults the first in the
 * order of the text is named, but those of the whole payload come first: no UTF-8, no JSON, empty, too many readings.
 */
export class JsonDecoder {
  readonly #scanner = new JsonScanner()
  readonly #reading: JsonReading
  #out = new DecodedColumns()
  /** Readings of the payload so far, good and bad. */
  #readings = 0
  /** Times that the stamp of the record has reserved; 0 when it was not asked yet. */
  #reserved = 0

  /** `wideIntegers`: integers that only a field declared integer can hold come out as bigint; else they are rejected. */
  constructor(options: { wideIntegers: boolean }) {
    this.#reading = new JsonReading(
      this.#scanner,
      options.wideIntegers,
      this.#out,
      new StreamSeries({ tenant: '', device: '', stream: '' }, { series: 0 }),
    )
  }

  /** Appends to `out` what the payload of `record` holds. Never throws for bad input. */
  decode(record: LogRecord, index: number, series: StreamSeries, out: DecodedColumns): void {
    const scanner = this.#scanner
    scanner.load(record.value)
    this.#out = out
    this.#reading.into(out, series)
    this.#readings = 0
    this.#reserved = 0
    const mark = out.mark()
    let end = scanner.space(0)
    if (end < scanner.length) {
      end = scanner.buffer[end] === ARRAY ? this.#array(end + 1, record, index) : this.#element(end, record, index)
      if (end >= 0) end = scanner.space(end)
      if (end >= 0 && end < scanner.length) end = scanner.syntax(end)
    }
    const failure = this.#failure(end)
    if (failure === undefined) return
    out.rewind(mark)
    out.rejects.push({ record: index, element: 0, start: 0, end: scanner.length, ...failure })
  }

  /** What is wrong with the payload as a whole, once it was read up to `end`. */
  #failure(end: number): { code: ErrorCode; detail: string } | undefined {
    const scanner = this.#scanner
    if ((end < 0 || scanner.beyondAscii) && !scanner.isUtf8()) {
      return { code: 'payload_not_utf8', detail: 'the payload is not UTF-8' }
    }
    if (end < 0) return { code: 'payload_not_json', detail: scanner.unexpected() }
    if (this.#readings === 0) return { code: 'payload_empty', detail: 'the payload contains no reading' }
    if (this.#readings <= MAX_READINGS) return undefined
    return { code: 'payload_too_many_readings', detail: `${this.#readings} readings in one payload` }
  }

  /** From behind the opening bracket. */
  #array(position: number, record: LogRecord, index: number): number {
    const scanner = this.#scanner
    let at = scanner.space(position)
    if (scanner.buffer[at] === ARRAY_END) return at + 1
    for (;;) {
      // What is too much is only looked at for whether the payload is JSON.
      if (this.#readings < MAX_READINGS) at = this.#element(at, record, index)
      else {
        this.#readings += 1
        at = scanner.skip(at)
      }
      if (at < 0) return at
      at = scanner.space(at)
      if (scanner.buffer[at] === ARRAY_END) return at + 1
      if (scanner.buffer[at] !== COMMA) return scanner.syntax(at)
      at = scanner.space(at + 1)
    }
  }

  #element(position: number, record: LogRecord, index: number): number {
    const element = this.#readings
    this.#readings += 1
    const reading = this.#reading
    const isObject = this.#scanner.buffer[position] === OBJECT
    let end = isObject ? reading.read(position) : reading.reject('reading_not_object', 'the reading is not an object')
    if (end === SYNTAX) return end
    if (end >= 0 && this.#out.readingIsEmpty()) end = reading.reject('reading_empty', 'the reading contains no value')
    if (end >= 0 && element > 0 && !reading.timed && !this.#isReserved(record, element)) {
      const detail = `the payload is too short for another reading without a time after ${this.#reserved - 1} of them`
      end = reading.reject('time_not_reserved', detail)
    }
    if (end >= 0) this.#store(record, index, element, position, end)
    if (end !== REJECTED) return end
    this.#out.dropReading()
    // Read again from its start, only to find its end and whether it is JSON.
    end = this.#scanner.skip(position)
    const { code, detail } = reading
    if (end >= 0) this.#out.rejects.push({ record: index, element, code, detail, start: position, end })
    return end
  }

  /** True when the stamp has left room for the element: no other message has its time. */
  #isReserved(record: LogRecord, element: number): boolean {
    if (record.scheme === undefined) return true
    if (this.#reserved === 0) this.#reserved = reservedElements(record.value)
    return element < this.#reserved
  }

  #store(record: LogRecord, index: number, element: number, start: number, end: number): void {
    const { time, timed, nulls } = this.#reading
    const out = this.#out
    out.nulls += nulls
    if (!timed) {
      // One stamp for the message, and a step for each of its elements; records of before had steps of a nanosecond.
      const ns = record.ns + (record.scheme === undefined ? element : element * STAMP_STEP)
      if (ns < NANOSECONDS_PER_MS) out.endReading(index, element, record.ms, ns)
      else out.endReading(index, element, record.ms + Math.floor(ns / NANOSECONDS_PER_MS), ns % NANOSECONDS_PER_MS)
      return
    }
    out.endReading(index, element, time.ms, time.ns)
    if (time.ms >= SUSPECT_BEFORE_MS && time.ms <= record.ms + SUSPECT_AHEAD_MS) return
    const detail = `the device's time is ${formatInstant(time)}, received ${formatInstant(record)}`
    out.suspects.push({ record: index, element, code: 'clock_suspect', detail, start, end })
  }
}

/**
 * Where each reading of a payload lies, in bytes, `end` exclusive; all of the payload as one when it is no array.
 * For what was decoded before: a payload that is no JSON gives what comes before the fault.
 */
export function readingRanges(payload: Uint8Array, scanner: JsonScanner): { start: number; end: number }[] {
  scanner.load(payload)
  let at = scanner.space(0)
  if (scanner.buffer[at] !== ARRAY) return [{ start: 0, end: payload.length }]
  const ranges: { start: number; end: number }[] = []
  do {
    const start = scanner.space(at + 1)
    const end = scanner.skip(start)
    if (end < 0) return ranges
    ranges.push({ start, end })
    at = scanner.space(end)
  } while (scanner.buffer[at] === COMMA)
  return ranges
}
