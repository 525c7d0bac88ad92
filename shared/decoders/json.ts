import { compressionOf, unpack } from './compression.ts'
import { DecodedColumns } from './decoded.ts'
import { StreamSeries } from './series.ts'
import { faultOfRecord, type Fault } from '../faults.ts'
import { toNanoseconds, type LogRecord } from '../telemetry.ts'
import { JsonScanner } from './json-scanner.ts'
import { PayloadReadings } from './payload-readings.ts'
import { DEFAULT_POLICY } from '../policies/settings.ts'
import { Senml } from './senml.ts'
import { MAX_ELEMENTS } from '../stamps/reservation.ts'
import { isNoText, readText, VALUE, type TextForm } from './text-payload.ts'

/** Readings in one payload. */
export const MAX_READINGS = MAX_ELEMENTS

const COMMA = 0x2c
const ARRAY = 0x5b
const ARRAY_END = 0x5d
const OBJECT = 0x7b

/** What the bytes of a payload are read as; `auto`: JSON, or else a text. `senml` is JSON that is a pack (RFC 8428), and nothing else. */
export type Form = 'auto' | 'json' | 'senml' | TextForm

/**
 * The decoder of payloads whose format nobody has named: one pass over the bytes into columns, without an object per
 * reading. What each payload becomes is written in docs/payloads.md. A payload is JSON (one reading, an array of readings,
 * a SenML pack, a list of values with their names, a value), or else line protocol, or else one line of text; or one of
 * these, compressed. What is wrong with one field refuses that field; a time that cannot be read refuses its reading, as
 * one fault, because none of its fields can be placed; what is no payload of these refuses it as a whole. That comes before
 * all else: no UTF-8, no JSON, empty, too many readings.
 */
export class JsonDecoder {
  /** By which the next payloads are decoded. */
  policy = DEFAULT_POLICY
  readonly #scanner = new JsonScanner()
  readonly #readings: PayloadReadings
  readonly #senml: Senml

  constructor() {
    const nowhere = new StreamSeries({ tenant: '', device: '', stream: '' }, { series: 0 })
    this.#readings = new PayloadReadings(this.#scanner, new DecodedColumns(), nowhere)
    this.#senml = new Senml(this.#scanner, this.#readings.reading)
  }

  /**
   * Appends to `out` what the payload of `record` holds, and gives how many readings that were, good and bad. Never throws
   * for bad input.
   */
  decode(record: LogRecord, index: number, series: StreamSeries, out: DecodedColumns): number {
    let failure = this.read('auto', record.value, record, index, series, out)
    const compression =
      failure !== undefined && isUnread(failure) ? compressionOf(record.value, this.policy) : undefined
    if (compression !== undefined) {
      const unpacked = unpack(record.value, compression)
      failure = unpacked instanceof Uint8Array ? this.read('auto', unpacked, record, index, series, out) : unpacked
    }
    if (failure !== undefined) out.refuse(index, failure)
    return this.#readings.count
  }

  #readAny(
    payload: Uint8Array,
    record: LogRecord,
    index: number,
    series: StreamSeries,
    out: DecodedColumns,
  ): Fault | undefined {
    const failure = this.read('json', payload, record, index, series, out)
    if (failure?.code !== 'payload_not_json' || isNoText(payload)) return failure
    const other = this.read('text', payload, record, index, series, out)
    return other?.code === 'payload_not_as_declared' ? failure : other
  }

  /**
   * Appends to `out` what `payload`, which stands for that of `record`, holds as one of the form; or gives what is wrong
   * with it as a whole, when nothing of it is in `out`. Never throws for bad input.
   */
  read(
    form: Form,
    payload: Uint8Array,
    record: LogRecord,
    index: number,
    series: StreamSeries,
    out: DecodedColumns,
  ): Fault | undefined {
    if (form === 'auto') return this.#readAny(payload, record, index, series, out)
    const scanner = this.#scanner
    scanner.load(payload)
    this.#readings.begin(record, index, series, out, this.policy)
    const mark = out.mark()
    const start = scanner.begin()
    let failure: Fault | undefined
    if (form === 'json') failure = this.#failure(this.#payload(start))
    else if (form === 'senml') failure = this.#pack(start)
    else failure = this.#text(form, start, series.stream)
    if (failure !== undefined) out.rewind(mark, index)
    return failure
  }

  /** Behind the payload, or SYNTAX where it is no JSON. */
  #payload(start: number): number {
    const scanner = this.#scanner
    const first = scanner.buffer[start]
    let end = start
    if (first === OBJECT) end = this.#element(start)
    else if (scanner.trailing(start) >= scanner.length) return scanner.length
    else if (first === ARRAY) end = this.#array(start)
    else end = this.#value(start)
    return this.#ended(end)
  }

  /** Nothing but what firmware leaves there may stand behind the payload. */
  #ended(position: number): number {
    const scanner = this.#scanner
    const end = position >= 0 && position < scanner.length ? scanner.trailing(position) : position
    return end >= 0 && end < scanner.length ? scanner.syntax(end) : end
  }

  #pack(start: number): Fault | undefined {
    if (this.#scanner.buffer[start] === ARRAY) return this.#failure(this.#ended(this.#array(start, true)))
    return faultOfRecord('payload_not_as_declared', 'no array of records')
  }

  /** What is wrong with the payload as a whole, once it was read up to `end`. */
  #failure(end: number): Fault | undefined {
    const scanner = this.#scanner
    if ((end < 0 || scanner.beyondAscii) && !scanner.isUtf8()) {
      return faultOfRecord('payload_not_utf8', 'the payload is not UTF-8')
    }
    if (end < 0) return faultOfRecord('payload_not_json', scanner.unexpected())
    const { count } = this.#readings
    if (count === 0) return faultOfRecord('payload_empty', 'the payload contains no reading')
    if (count <= MAX_READINGS) return undefined
    return faultOfRecord('payload_too_many_readings', `${count} readings in one payload`)
  }

  /** From the opening bracket. */
  #array(position: number, isSenml = false): number {
    const scanner = this.#scanner
    const shape = isSenml ? 'senml' : this.#readings.reading.shapes.array(position)
    if (shape === 'plain') return this.#value(position)
    if (shape === 'senml') this.#senml.begin()
    let at = scanner.space(position + 1)
    if (scanner.buffer[at] === ARRAY_END) return at + 1
    for (;;) {
      // What is too much is only looked at for whether the payload is JSON.
      if (this.#readings.count >= MAX_READINGS) {
        this.#readings.next()
        at = scanner.skip(at)
      } else if (shape === 'senml') at = this.#record(at)
      else at = this.#element(at, shape === 'named')
      if (at < 0) return at
      at = scanner.space(at)
      if (scanner.buffer[at] === ARRAY_END) return at + 1
      if (scanner.buffer[at] !== COMMA) return scanner.syntax(at)
      at = scanner.space(at + 1)
    }
  }

  #element(position: number, isNamed = false): number {
    const element = this.#readings.next()
    const { reading } = this.#readings
    let end: number
    if (this.#scanner.buffer[position] !== OBJECT)
      end = reading.reject('reading_not_object', 'the reading is not an object')
    else end = isNamed ? reading.readNamed(position, element) : reading.read(position, element)
    return this.#readings.finish(position, end, element)
  }

  /** A record of a SenML pack. */
  #record(position: number): number {
    const element = this.#readings.next()
    const received = toNanoseconds(this.#readings.receivedAt(element))
    const { end, isEmpty } = this.#senml.read(position, element, received)
    return isEmpty ? end : this.#readings.finish(position, end, element)
  }

  /** A payload that is a value, or some, without a name. */
  #value(position: number): number {
    const element = this.#readings.next()
    const { reading } = this.#readings
    this.#readings.unnamed('value')
    reading.begin(element)
    return this.#readings.finish(position, reading.settle(reading.value(position, VALUE)), element)
  }

  #text(form: TextForm, start: number, stream: string): Fault | undefined {
    const scanner = this.#scanner
    if (!scanner.isUtf8()) return faultOfRecord('payload_not_utf8', 'the payload is not UTF-8')
    const text = scanner.text(start, scanner.length).replace(/[ \t\r\n\0]+$/, '')
    const unread = readText(form, text, {
      stream,
      readings: this.#readings,
      isAllowed: this.policy.plain_text === 'always',
    })
    return unread === undefined ? this.#failure(scanner.length) : faultOfRecord('payload_not_as_declared', unread)
  }
}

/** It may be of another format. */
function isUnread({ code }: Fault): boolean {
  return code === 'payload_not_json' || code === 'payload_not_utf8'
}
