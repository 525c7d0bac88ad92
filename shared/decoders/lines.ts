import { isUtf8 } from 'node:buffer'
import { faultOfRecord, Faults, type Fault } from '../faults.ts'
import { isDeviceName } from '../names.ts'
import type { PolicyTable } from '../policies/policy-table.ts'
import type { Policy } from '../policies/settings.ts'
import { LINES_HEADER, loginOfKey } from '../record.ts'
import { MAX_ELEMENTS, reservedLines } from '../stamps/reservation.ts'
import { laterBy } from '../stamps/scheme.ts'
import type { LogRecord } from '../telemetry.ts'
import { parseDeviceKey, parseTelemetryTopic } from '../topics.ts'
import { DecodedColumns } from './decoded.ts'
import { JsonReading } from './json-reading.ts'
import { JsonScanner } from './json-scanner.ts'
import { quote } from './json-text.ts'
import type { LineHead } from './line-head.ts'
import { LineReader, type Line } from './line-protocol.ts'
import { missingTime } from './missing-time.ts'
import { StreamSeries } from './series.ts'

/** Nanoseconds of a unit of times, by what the header of a record says. */
export const LINE_UNITS: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
])

/** Digits of a time that can be stored, and more. */
const MAX_TIME_DIGITS = 32
/** Of a line that is none, for a person to find it. */
const SHOWN_BYTES = 80

/** What the decoder takes of the table that it belongs to. */
interface Streams {
  readonly policies: Pick<PolicyTable, 'of'>
  streamOfDevice(key: string, stream: string): StreamSeries | string
}

/** Where the fields of a line go. */
interface Place {
  readonly series: StreamSeries
  readonly policy: Policy
  readonly out: DecodedColumns
  /** Where the record is not the device's own. */
  readonly device: string | undefined
  readonly stream: string
}

/** The record in progress. */
interface Task {
  readonly record: LogRecord
  readonly index: number
  readonly out: DecodedColumns
  readonly unit: bigint
  /** The device whose login posted it, as it is called in its topic; undefined for the login of an application. */
  readonly own: string | undefined
  readonly places: Map<string, Place>
}

/**
 * The decoder of line protocol as clients of InfluxDB post it (docs/influx-clients.md): of each line the measurement is the
 * stream, one of its tags the device, and the others are part of the names of its fields. Of a record that a device's login
 * posted all is of that device, and a tag that names it is left out. The readings of others are handed on, as those of
 * by-device.ts.
 */
export class LinesDecoder {
  readonly #streams: Streams
  readonly #reader = new LineReader()
  readonly #reading: JsonReading
  #reserved = 0

  constructor(streams: Streams) {
    this.#streams = streams
    const nowhere = new StreamSeries({ tenant: '', device: '', stream: '' }, { series: 0 })
    this.#reading = new JsonReading(new JsonScanner(), new DecodedColumns(), nowhere)
  }

  /** Appends to `out` what the lines of `record` hold. Never throws for bad input. */
  decode(record: LogRecord, index: number, out: DecodedColumns): void {
    const unit = LINE_UNITS.get(record.headers?.[LINES_HEADER] ?? '')
    if (unit === undefined)
      return out.refuse(index, faultOfRecord('form_unknown', 'the unit of its times is not known here'))
    const task: Task = { record, index, out, unit, own: ownDevice(record), places: new Map() }
    const mayBeBroken = !isUtf8(record.value)
    const reader = this.#reader
    this.#reserved = 0
    reader.load(record.value)
    for (let element = 0; reader.begin(); element += 1) {
      if (element >= MAX_ELEMENTS) {
        out.refuse(index, faultOfRecord('payload_too_many_readings', `more than ${MAX_ELEMENTS} lines in one record`))
        break
      }
      const line = reader.read()
      const fault = this.#line(task, line, element, mayBeBroken)
      if (fault !== undefined) out.refuse(index, { element, path: null, ...fault })
    }
    for (const { device, stream, out: one } of task.places.values()) {
      if (device === undefined || one.readings === 0) continue
      out.others.push({ record: index, device, stream, points: one.points, element: one.element })
    }
  }

  #line(task: Task, line: Line | string, element: number, mayBeBroken: boolean): Wrong | undefined {
    if (mayBeBroken && !isUtf8(this.#reader.written()))
      return { code: 'payload_not_utf8', detail: 'the line is not UTF-8' }
    if (typeof line === 'string') {
      const shown = this.#reader.written().toString('utf8', 0, SHOWN_BYTES)
      return { code: 'line_invalid', detail: `${quote(shown)}: ${line}` }
    }
    const { head } = line
    const stream = head.measurement
    const policy = this.#streams.policies.of(task.record, stream)
    const tag = policy.device_tags.find((key) => head.tag(key) !== undefined)
    const named = tag === undefined ? undefined : head.tag(tag)
    const device = task.own ?? named
    if (device === undefined) {
      return { code: 'device_tag_missing', detail: `none of the tags ${policy.device_tags.join(', ')} is in the line` }
    }
    const place = this.#placeOf(task, stream, task.own === undefined ? device : undefined, policy)
    if ('code' in place) return place
    // Of the login of a device a tag that says otherwise is one like any other: values of two do not meet.
    return this.#read(task, line, element, { place, head, leftOut: named === device ? tag : undefined })
  }

  #placeOf({ record, places, out }: Task, stream: string, device: string | undefined, policy: Policy): Place | Wrong {
    const id = `${device ?? ''}\n${stream}`
    const known = places.get(id)
    if (known !== undefined) return known
    if (!isDeviceName(stream)) {
      return { code: 'name_invalid', detail: `the measurement ${quote(stream)} cannot be the name of a stream` }
    }
    if (device !== undefined && !isDeviceName(device)) {
      return { code: 'name_invalid', detail: `${quote(device)} cannot be the name of a device` }
    }
    const series =
      device === undefined
        ? this.#streams.streamOfDevice(record.key, stream)
        : new StreamSeries({ tenant: '', device: '', stream }, { series: 0 })
    if (typeof series === 'string') return { code: 'topic_unknown', detail: series }
    const place = { series, policy, device, stream, out: device === undefined ? out : new DecodedColumns() }
    places.set(id, place)
    return place
  }

  #read(task: Task, line: Line, element: number, { place, head, leftOut }: Into): Wrong | undefined {
    const { record, index, out } = task
    const reading = this.#reading
    reading.into(place.out, place.series, record, place.policy)
    reading.begin(element)
    for (const [written, value] of line.fields) {
      const name = head.nameOf(written, '', leftOut)
      if (value === undefined)
        reading.note(name, 'line_invalid', `the value of ${quote(name)} is none of line protocol`)
      else reading.put(value, name)
    }
    if (line.time !== undefined) reading.time.set(nanosecondsOf(line.time, task.unit), 'time')
    const wrong = this.#wrong(record, element, place.out)
    if (wrong === undefined) {
      if (reading.faults !== undefined) out.refuseAll(index, ofDevice(reading.faults, place.device))
      this.#store(task, element, place)
      return undefined
    }
    place.out.dropReading()
    const { code, detail } = wrong
    return { code, detail: place.device === undefined ? detail : `of device ${quote(place.device)}: ${detail}` }
  }

  /** Why the reading that was read can have no points. */
  #wrong(record: LogRecord, element: number, out: DecodedColumns): Wrong | undefined {
    const reading = this.#reading
    if (reading.settle(0) < 0) return reading
    const timeless = out.readingIsEmpty() ? undefined : missingTime(reading, out)
    if (timeless !== undefined) return { code: 'time_absent', detail: timeless }
    if (out.readingIsEmpty() || element === 0 || reading.time.given || this.#isReserved(record, element))
      return undefined
    return { code: 'time_not_reserved', detail: 'the payload is too short for another reading without a time' }
  }

  #store({ record, index, out }: Task, element: number, place: Place): void {
    const { time, nulls, doubt } = this.#reading
    out.nulls += nulls
    if (place.out.readingIsEmpty()) return
    const { ms, ns } = time.given ? time.at : laterBy(record, element)
    place.out.endReading(index, element, ms, ns)
    if (doubt !== undefined) out.suspects.push({ record: index, element, ...doubt })
  }

  /** True when the stamp has left room for the element: no other message has its time. */
  #isReserved(record: LogRecord, element: number): boolean {
    if (record.scheme === undefined) return true
    if (this.#reserved === 0) this.#reserved = reservedLines(record.value)
    return element < this.#reserved
  }
}

type Wrong = Pick<Fault, 'code' | 'detail'>

interface Into {
  readonly place: Place
  readonly head: LineHead
  /** The tag that names the device. */
  readonly leftOut: string | undefined
}

/** By the topic that it published to, or by its key, which says the same of one that was never renamed. */
function ownDevice({ key, headers }: LogRecord): string | undefined {
  if (loginOfKey(key) !== undefined) return undefined
  return parseTelemetryTopic(headers?.['topic'] ?? '')?.device ?? parseDeviceKey(key)?.device ?? ''
}

function nanosecondsOf(digits: string, unit: bigint): bigint {
  return digits.length > MAX_TIME_DIGITS ? -1n : BigInt(digits) * unit
}

function ofDevice(faults: Faults, device: string | undefined): Faults {
  if (device === undefined) return faults
  const told = faults.first.map(({ detail, ...fault }) => ({
    ...fault,
    detail: `of device ${quote(device)}: ${detail}`,
  }))
  return Faults.of(told, faults.counts)
}
