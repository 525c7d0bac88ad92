import { faultOfRecord, Faults, type Fault } from '../faults.ts'
import { isDeviceName } from '../names.ts'
import { laterBy } from '../stamps/scheme.ts'
import type { LogRecord } from '../telemetry.ts'
import { DEFAULT_STREAM } from '../topics.ts'
import { DecodedColumns } from './decoded.ts'
import { MAX_READINGS, type JsonDecoder } from './json.ts'
import { JsonScanner } from './json-scanner.ts'
import { JsonShapes, type Member } from './json-shapes.ts'
import { quote } from './json-text.ts'
import { StreamSeries } from './series.ts'

const OBJECT = 0x7b

/**
 * The decoder of messages of several devices: an object whose members are named like devices, each of which holds what
 * the device itself could have published as JSON. What it finds belongs to other partitions: it is handed on, and is not
 * among the points.
 */
export class ByDeviceDecoder {
  readonly #scanner = new JsonScanner()
  readonly #shapes = new JsonShapes(this.#scanner)
  readonly #decoder: JsonDecoder

  constructor(decoder: JsonDecoder) {
    this.#decoder = decoder
  }

  /** Appends to `out` what the payload of `record` holds. Never throws for bad input. */
  decode(record: LogRecord, index: number, out: DecodedColumns): void {
    const members = this.#members(record.value)
    const failure = Array.isArray(members) ? this.#devices(record, index, members, out) : members
    if (failure !== undefined) out.refuse(index, failure)
  }

  /** The members of the payload, at least one, or what is wrong with it. */
  #members(payload: Uint8Array): Member[] | Fault {
    const scanner = this.#scanner
    scanner.load(payload)
    if (!scanner.isUtf8()) return faultOfRecord('payload_not_utf8', 'the payload is not UTF-8')
    const start = scanner.begin()
    let end = scanner.skip(start)
    if (end >= 0 && scanner.trailing(end) < scanner.length) end = scanner.syntax(scanner.trailing(end))
    if (end < 0) return faultOfRecord('payload_not_json', scanner.unexpected())
    const members = scanner.buffer[start] === OBJECT ? this.#shapes.members(start) : undefined
    if (members === undefined) {
      return faultOfRecord('payload_not_by_device', 'the payload is not an object whose members are named like devices')
    }
    return members.length > 0 ? members : faultOfRecord('payload_empty', 'the payload contains no reading')
  }

  #devices(record: LogRecord, index: number, members: readonly Member[], out: DecodedColumns): Fault | undefined {
    const series = new StreamSeries({ tenant: '', device: '', stream: DEFAULT_STREAM }, { series: 0 })
    const found: { readonly device: string; readonly first: number; readonly one: DecodedColumns }[] = []
    let readings = 0
    for (const { key: device, at } of members) {
      const [one, first] = [new DecodedColumns(), readings]
      const value = record.value.subarray(at, this.#scanner.skip(at))
      // Readings without a time get different ones also where two names are of one device.
      readings += this.#decoder.decode({ ...record, value, ...laterBy(record, readings) }, index, series, one)
      if (readings > MAX_READINGS) {
        return faultOfRecord('payload_too_many_readings', `more than ${MAX_READINGS} readings in one payload`)
      }
      found.push({ device, first, one })
    }
    for (const { device, first, one } of found) {
      if (!isDeviceName(device)) {
        const detail = `${quote(device)} cannot be the name of a device`
        out.refuse(index, { element: first, path: null, code: 'name_invalid', detail })
        continue
      }
      const faults = one.faults.get(index)
      if (faults !== undefined) out.refuseAll(index, ofDevice(faults, first, device))
      for (const suspect of one.suspects) out.suspects.push({ ...suspect, element: first + suspect.element })
      out.nulls += one.nulls
      const element = one.element.map((own) => first + own)
      if (one.readings > 0) {
        out.others.push({ record: index, device, stream: DEFAULT_STREAM, points: one.points, element })
      }
    }
    return undefined
  }
}

/** As they stand in the whole payload; `path` stays the name of the field, so the device is told beside it. */
function ofDevice({ first: faults, counts }: Faults, first: number, device: string): Faults {
  const told = faults.map(({ element, detail, ...fault }) => {
    return { ...fault, element: first + (element ?? 0), detail: `of device ${quote(device)}: ${detail}` }
  })
  return Faults.of(told, counts)
}
