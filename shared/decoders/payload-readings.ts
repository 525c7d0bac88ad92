import type { DecodedColumns, Unnamed } from './decoded.ts'
import { JsonReading } from './json-reading.ts'
import { REJECTED, type JsonScanner } from './json-scanner.ts'
import type { Policy } from '../policies/settings.ts'
import type { StreamSeries } from './series.ts'
import { reservedElements } from '../stamps/reservation.ts'
import { laterBy } from '../stamps/scheme.ts'
import type { LogRecord } from '../telemetry.ts'
import { missingTime } from './missing-time.ts'

/**
 * The readings of one payload on their way into columns, whatever they stand in: their numbers, their times, and what is
 * refused of each. The payload in the scanner may stand for that of the record, whose stamp places the readings.
 */
export class PayloadReadings {
  readonly reading: JsonReading
  /** Readings of the payload so far, good and bad. */
  count = 0
  readonly #scanner: JsonScanner
  #out: DecodedColumns
  #record: LogRecord
  #index = 0
  /** Times that the stamp of the record has reserved; 0 when it was not asked yet. */
  #reserved = 0

  constructor(scanner: JsonScanner, out: DecodedColumns, series: StreamSeries) {
    this.#scanner = scanner
    this.#out = out
    this.#record = { key: '', value: new Uint8Array(0), ms: 0, ns: 0, headers: undefined }
    this.reading = new JsonReading(scanner, out, series)
  }

  /** The payload of the record begins. */
  begin(record: LogRecord, index: number, series: StreamSeries, out: DecodedColumns, policy: Policy): void {
    this.#record = record
    this.#index = index
    this.#out = out
    this.count = 0
    this.#reserved = 0
    this.reading.into(out, series, record, policy)
  }

  /** The fields of the payload have no names of their own. */
  unnamed(what: Unnamed): void {
    this.#out.setUnnamed(this.#index, what)
  }

  /** The number of the next reading. */
  next(): number {
    return this.count++
  }

  /** When a reading without a time would be placed. */
  receivedAt(element: number): { readonly ms: number; readonly ns: number } {
    return laterBy(this.#record, element)
  }

  /** Stores the reading at `position` that was read up to `end`, or refuses it; behind it. */
  finish(position: number, end: number, element: number): number {
    const result = end >= 0 ? this.#end(element, end) : end
    if (result !== REJECTED) return result
    this.#out.dropReading()
    // Read again from its start, only to find its end and whether it is JSON.
    const { code, detail } = this.reading
    this.#out.refuse(this.#index, { element, path: null, code, detail })
    return this.#scanner.skip(position)
  }

  /** Stores what the reading gave, and its faults; `end`, or REJECTED when it can have no points at all. */
  #end(element: number, end: number): number {
    const reading = this.reading
    const out = this.#out
    const isEmpty = out.readingIsEmpty()
    if (isEmpty && reading.faults === undefined) {
      // A sensor that has nothing to say says null.
      if (reading.nulls === 0) return reading.reject('reading_empty', 'the reading contains no value')
      out.nulls += reading.nulls
      return end
    }
    const timeless = isEmpty ? undefined : missingTime(reading, out)
    if (timeless !== undefined) return reading.reject('time_absent', timeless)
    if (!isEmpty && element > 0 && !reading.time.given && !this.#isReserved(element)) {
      const detail = `the payload is too short for another reading without a time after ${this.#reserved - 1} of them`
      return reading.reject('time_not_reserved', detail)
    }
    if (reading.faults !== undefined) out.refuseAll(this.#index, reading.faults)
    if (!isEmpty) this.#store(element)
    return end
  }

  /** True when the stamp has left room for the element: no other message has its time. */
  #isReserved(element: number): boolean {
    const { scheme, value } = this.#record
    if (scheme === undefined) return true
    if (this.#reserved === 0) this.#reserved = reservedElements(value)
    return element < this.#reserved
  }

  #store(element: number): void {
    const { time, nulls, doubt, locals, isNested } = this.reading
    const out = this.#out
    const record = this.#record
    const index = this.#index
    const from = out.points.ms.length
    out.nulls += nulls
    if (time.given) out.endReading(index, element, time.at.ms, time.at.ns)
    else if (element === 0) out.endReading(index, element, record.ms, record.ns)
    else {
      const { ms, ns } = laterBy(record, element)
      out.endReading(index, element, ms, ns)
    }
    if (doubt !== undefined) out.suspects.push({ record: index, element, ...doubt })
    if (locals.ofReading !== undefined) {
      for (const local of locals.ofReading) (out.locals ??= []).push({ record: index, element, ...local })
    }
    if (!isNested) return
    for (const path of out.dropRepeats(from)) {
      const detail = 'another value for it at the same time comes before this one'
      out.refuse(index, { element, path, code: 'field_duplicate', detail })
    }
  }
}
