import { DecodedColumns } from './decoded.ts'
import { StreamSeries } from './series.ts'
import { faultOfRecord, type Fault } from '../faults.ts'
import { toNanoseconds, type LogRecord } from '../telemetry.ts'
import { JsonReading } from './json-reading.ts'
import { JsonScanner, REJECTED } from './json-scanner.ts'
import { fieldOf, parseLines, type Line } from './line-protocol.ts'
import { DEFAULT_POLICY } from '../policies/settings.ts'
import { Senml } from './senml.ts'
import { MAX_ELEMENTS, reservedElements } from '../stamps/reservation.ts'
import { laterBy } from '../stamps/scheme.ts'

/** Readings in one payload. */
export const MAX_READINGS = MAX_ELEMENTS
/** Bytes of a text that is a value, in one line. */
export const MAX_TEXT_BYTES = 256

/** The field of a payload that is a value without a name. */
const VALUE = 'value'

const COMMA = 0x2c
const TAG = 0x3c
const ARRAY = 0x5b
const ARRAY_END = 0x5d
const OBJECT = 0x7b

/**
 * The decoder of payloads whose format nobody has named: one pass over the bytes into columns, without an object per
 * reading. What each payload becomes is written in docs/payloads.md. A payload is JSON (one reading, an array of readings,
 * a SenML pack, a list of values with their names, a value), or else line protocol, or else one line of text.
 * What is wrong with one field refuses that field; a time that cannot be read refuses its reading, as one fault, because
 * none of its fields can be placed; what is no payload of these refuses it as a whole. That comes before all else: no
 * UTF-8, no JSON, empty, too many readings.
 */
export class JsonDecoder {
  /** By which the next payloads are decoded. */
  policy = DEFAULT_POLICY
  readonly #scanner = new JsonScanner()
  readonly #reading: JsonReading
  readonly #senml: Senml
  #out = new DecodedColumns()
  #stream = ''
  /** Readings of the payload so far, good and bad. */
  #readings = 0
  /** Times that the stamp of the record has reserved; 0 when it was not asked yet. */
  #reserved = 0

  constructor() {
    const nowhere = new StreamSeries({ tenant: '', device: '', stream: '' }, { series: 0 })
    this.#reading = new JsonReading(this.#scanner, this.#out, nowhere)
    this.#senml = new Senml(this.#scanner, this.#reading)
  }

  /**
   * Appends to `out` what the payload of `record` holds, and gives how many readings that were, good and bad. Never throws
   * for bad input.
   */
  decode(record: LogRecord, index: number, series: StreamSeries, out: DecodedColumns): number {
    const scanner = this.#scanner
    scanner.load(record.value)
    this.#out = out
    this.#stream = series.stream
    this.#reading.into(out, series, record.ms, this.policy)
    this.#readings = 0
    this.#reserved = 0
    const mark = out.mark()
    const start = scanner.begin()
    const end = this.#payload(start, record, index)
    let failure = this.#failure(end)
    if (failure === undefined) return this.#readings
    out.rewind(mark, index)
    if (failure.code === 'payload_not_json' && this.#text(start, record, index)) failure = this.#failure(scanner.length)
    if (failure === undefined) return this.#readings
    out.rewind(mark, index)
    out.refuse(index, failure)
    return this.#readings
  }

  /** Behind the payload, or SYNTAX where it is no JSON. */
  #payload(start: number, record: LogRecord, index: number): number {
    const scanner = this.#scanner
    const first = scanner.buffer[start]
    let end = start
    if (first === OBJECT) end = this.#element(start, record, index)
    else if (scanner.trailing(start) >= scanner.length) return scanner.length
    else if (first === ARRAY) end = this.#array(start, record, index)
    else end = this.#value(start, record, index)
    if (end >= 0 && end < scanner.length) end = scanner.trailing(end)
    return end >= 0 && end < scanner.length ? scanner.syntax(end) : end
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

  /** From the opening bracket. */
  #array(position: number, record: LogRecord, index: number): number {
    const scanner = this.#scanner
    const shape = this.#reading.shapes.array(position)
    if (shape === 'plain') return this.#value(position, record, index)
    if (shape === 'senml') this.#senml.begin()
    let at = scanner.space(position + 1)
    if (scanner.buffer[at] === ARRAY_END) return at + 1
    for (;;) {
      // What is too much is only looked at for whether the payload is JSON.
      if (this.#readings >= MAX_READINGS) {
        this.#readings += 1
        at = scanner.skip(at)
      } else if (shape === 'senml') at = this.#record(at, record, index)
      else at = this.#element(at, record, index, shape === 'named')
      if (at < 0) return at
      at = scanner.space(at)
      if (scanner.buffer[at] === ARRAY_END) return at + 1
      if (scanner.buffer[at] !== COMMA) return scanner.syntax(at)
      at = scanner.space(at + 1)
    }
  }

  #element(position: number, record: LogRecord, index: number, isNamed = false): number {
    const element = this.#readings
    this.#readings += 1
    const reading = this.#reading
    let end: number
    if (this.#scanner.buffer[position] !== OBJECT)
      end = reading.reject('reading_not_object', 'the reading is not an object')
    else end = isNamed ? reading.readNamed(position, element) : reading.read(position, element)
    return this.#finish(position, end, record, index, element)
  }

  /** A record of a SenML pack. */
  #record(position: number, record: LogRecord, index: number): number {
    const element = this.#readings
    this.#readings += 1
    const received = toNanoseconds(laterBy(record, element))
    const { end, isEmpty } = this.#senml.read(position, element, received)
    return isEmpty ? end : this.#finish(position, end, record, index, element)
  }

  /** A payload that is a value, or some, without a name. */
  #value(position: number, record: LogRecord, index: number): number {
    const reading = this.#reading
    this.#readings += 1
    reading.begin(0)
    return this.#finish(position, reading.settle(reading.value(position, VALUE)), record, index, 0)
  }

  /** False when the payload, which is no JSON, is no text that could be read otherwise. */
  #text(start: number, record: LogRecord, index: number): boolean {
    const scanner = this.#scanner
    const first = scanner.buffer[start] ?? 0
    if (first === OBJECT || first === ARRAY || first === TAG) return false
    const text = scanner.text(start, scanner.length).replace(/[ \t\r\n\0]+$/, '')
    this.#readings = 0
    const lines = parseLines(text)
    if (lines !== undefined) {
      for (const line of lines.slice(0, MAX_READINGS)) this.#line(line, record, index)
      this.#readings = lines.length
      return true
    }
    if (Buffer.byteLength(text) > MAX_TEXT_BYTES || /[^\P{Cc}\t]/u.test(text)) return false
    this.#readings = 1
    this.#reading.begin(0)
    this.#reading.put(text, VALUE)
    this.#finish(start, this.#reading.settle(scanner.length), record, index, 0)
    return true
  }

  /** A line of line protocol. */
  #line(line: Line, record: LogRecord, index: number): void {
    const reading = this.#reading
    const element = this.#readings
    this.#readings += 1
    reading.begin(element)
    for (const [field, value] of line.fields) reading.put(value, fieldOf(line, field, this.#stream))
    if (line.time !== undefined) reading.time.readDigits(line.time, 'time')
    this.#finish(0, reading.settle(0), record, index, element)
  }

  /** Stores the reading that was read up to `end`, or refuses it. */
  #finish(position: number, end: number, record: LogRecord, index: number, element: number): number {
    const result = end >= 0 ? this.#end(record, index, element, end) : end
    if (result !== REJECTED) return result
    this.#out.dropReading()
    // Read again from its start, only to find its end and whether it is JSON.
    const { code, detail } = this.#reading
    this.#out.refuse(index, { element, path: null, code, detail })
    return this.#scanner.skip(position)
  }

  /** Stores what the reading gave, and its faults; `end`, or REJECTED when it can have no points at all. */
  #end(record: LogRecord, index: number, element: number, end: number): number {
    const reading = this.#reading
    const out = this.#out
    const isEmpty = out.readingIsEmpty()
    if (isEmpty && reading.faults === undefined) {
      // A sensor that has nothing to say says null.
      if (reading.nulls === 0) return reading.reject('reading_empty', 'the reading contains no value')
      out.nulls += reading.nulls
      return end
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
    const { time, nulls, doubt, isNested } = this.#reading
    const out = this.#out
    const from = out.points.ms.length
    out.nulls += nulls
    if (time.given) out.endReading(index, element, time.at.ms, time.at.ns)
    else if (element === 0) out.endReading(index, element, record.ms, record.ns)
    else {
      const { ms, ns } = laterBy(record, element)
      out.endReading(index, element, ms, ns)
    }
    if (doubt !== undefined) out.suspects.push({ record: index, element, ...doubt })
    if (!isNested) return
    for (const path of out.dropRepeats(from)) {
      const detail = 'another value for it at the same time comes before this one'
      out.refuse(index, { element, path, code: 'field_duplicate', detail })
    }
  }
}
