import { DecodedColumns } from './decoded.ts'
import { StreamSeries } from './series.ts'
import { faultOfRecord, type Fault } from '../faults.ts'
import { formatInstant, type LogRecord } from '../telemetry.ts'
import { JsonReading, REJECTED } from './json-reading.ts'
import { JsonScanner } from './json-scanner.ts'
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
 * What each payload becomes is written in docs/payloads.md. A payload is one reading or an array of readings. What is
 * wrong with one field refuses that field; a time that cannot be read refuses its reading, as one fault, because none of
 * its fields can be placed; what is no JSON refuses the payload. What is wrong with the whole payload comes before all
 * else: no UTF-8, no JSON, empty, too many readings.
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
    out.rewind(mark, index)
    out.refuse(index, failure)
  }

  /** What is wrong with the payload as a whole, once it was read up to `end`. */
  #failure(end: number): Fault | undefined {
    const scanner = this.#scanner
    if ((end < 0 || scanner.beyondAscii) && !scanner.isUtf8()) {
      return faultOfRecord('payload_not_utf8', 'the payload is not UTF-8')
    }
    if (end < 0) return faultOfRecord('payload_not_json', scanner.unexpected())
    if (this.#readings === 0) return faultOfRecord('payload_empty', 'the payload contains no reading')
    if (this.#readings <= MAX_READINGS) return undefined
    return faultOfRecord('payload_too_many_readings', `${this.#readings} readings in one payload`)
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
    let end = isObject
      ? reading.read(position, element)
      : reading.reject('reading_not_object', 'the reading is not an object')
    if (end >= 0) end = this.#end(record, index, element, end)
    if (end !== REJECTED) return end
    this.#out.dropReading()
    // Read again from its start, only to find its end and whether it is JSON.
    const { code, detail } = reading
    this.#out.refuse(index, { element, path: null, code, detail })
    return this.#scanner.skip(position)
  }

  /** Stores what the reading gave, and its faults; `end`, or REJECTED when it can have no points at all. */
  #end(record: LogRecord, index: number, element: number, end: number): number {
    const reading = this.#reading
    const out = this.#out
    const isEmpty = out.readingIsEmpty()
    if (isEmpty && reading.faults === undefined) {
      return reading.reject('reading_empty', 'the reading contains no value')
    }
    if (!isEmpty && element > 0 && !reading.time.given && !this.#isReserved(record, element)) {
      const detail = `the payload is too short for another reading without a time after ${this.#reserved - 1} of them`
      return reading.reject('time_not_reserved', detail)
    }
    if (reading.faults !== undefined) out.refuseAll(index, reading.faults)
    if (!isEmpty) this.#store(record, index, element)
    return end
  }

  /** True when the stamp has left room for the element: no other message has its time. */
  #isReserved(record: LogRecord, element: number): boolean {
    if (record.scheme === undefined) return true
    if (this.#reserved === 0) this.#reserved = reservedElements(record.value)
    return element < this.#reserved
  }

  #store(record: LogRecord, index: number, element: number): void {
    const { time, nulls } = this.#reading
    const out = this.#out
    out.nulls += nulls
    if (!time.given) {
      // One stamp for the message, and a step for each of its elements; records of before had steps of a nanosecond.
      const ns = record.ns + (record.scheme === undefined ? element : element * STAMP_STEP)
      if (ns < NANOSECONDS_PER_MS) out.endReading(index, element, record.ms, ns)
      else out.endReading(index, element, record.ms + Math.floor(ns / NANOSECONDS_PER_MS), ns % NANOSECONDS_PER_MS)
      return
    }
    const { ms, ns } = time.at
    out.endReading(index, element, ms, ns)
    if (ms >= SUSPECT_BEFORE_MS && ms <= record.ms + SUSPECT_AHEAD_MS) return
    const detail = `the device's time is ${formatInstant(time.at)}, received ${formatInstant(record)}`
    out.suspects.push({ record: index, element, code: 'clock_suspect', detail })
  }
}
