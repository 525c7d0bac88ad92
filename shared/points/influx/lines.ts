import { SluiceError } from '../../errors.ts'
import type { FieldType, PointBatch, PointValue, Series } from '../../telemetry.ts'
import { areStorable, fieldKeyOf, fieldProblem, keepName, measurementOf } from './names.ts'
import { keepText } from './text.ts'

/** Fields of one line: from here on another line costs less than looking whether a field is in this one. */
const MAX_LINE_FIELDS = 16

/** A series as it stands in a line. */
interface Prepared {
  /** Measurement and tags, escaped. */
  readonly head: string
  /** Escaped field and `=`. */
  readonly field: string
  readonly type: FieldType
  readonly problem: SluiceError | undefined
}

/**
 * Writes points as line protocol. What a series contributes is prepared once and hangs on the series object; neighbours
 * of one stream and time, as the fields of a reading are, share a line.
 * https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
 */
export class LineWriter {
  readonly #prepared = new WeakMap<Series, Prepared>()

  /** Why no point of a series can be stored: its names. */
  problem(series: Series): SluiceError | undefined {
    return this.#prepare(series).problem
  }

  /** The points of these indexes, in their order. All must be storable. */
  write(batch: PointBatch, indexes: readonly number[]): string {
    const { series, ms, ns, values } = batch
    let text = ''
    let time = ''
    let lineMs = -1
    let lineNs = -1
    let head = ''
    const fields: string[] = []
    for (const index of indexes) {
      const [one, value] = [series[index], values[index]]
      if (one === undefined || value === undefined) throw new RangeError(`no point ${index} in the batch`)
      const prepared = this.#prepare(one)
      const [pointMs = 0, pointNs = 0] = [ms[index], ns[index]]
      const continues =
        pointMs === lineMs &&
        pointNs === lineNs &&
        prepared.head === head &&
        fields.length < MAX_LINE_FIELDS &&
        // Twice the same field in a line has no defined winner; of two lines the later one wins.
        !fields.includes(prepared.field)
      if (continues) text += `,${prepared.field}`
      else {
        if (lineMs >= 0) text += time
        time = ` ${pointMs}${pointNs === 0 ? '000000' : String(pointNs).padStart(6, '0')}\n`
        head = prepared.head
        lineMs = pointMs
        lineNs = pointNs
        fields.length = 0
        text += `${head} ${prepared.field}`
      }
      fields.push(prepared.field)
      text += formatValue(prepared.type, value)
    }
    return text + time
  }

  #prepare(series: Series): Prepared {
    const known = this.#prepared.get(series)
    if (known !== undefined) return known
    const { tenant, device, stream, type } = series
    const head = `${escapeMeasurement(measurementOf(tenant, stream))},device=${escapeKey(keepName(device))}`
    const prepared = { head, field: `${escapeKey(fieldKeyOf(series))}=`, type, problem: namesProblem(series) }
    this.#prepared.set(series, prepared)
    return prepared
  }
}

/** A value of a series of the type, which it must fit. */
export function formatValue(type: FieldType, value: PointValue): string {
  switch (type) {
    case 'float':
      // String(-0) is "0".
      return Object.is(value, -0) ? '-0' : String(value)
    case 'integer':
      // Beyond 2^53 the digits of a number are those of its shortest form, not its own.
      return typeof value === 'number' && !Number.isSafeInteger(value) ? `${BigInt(value)}i` : `${String(value)}i`
    case 'boolean':
      return value === true ? 'true' : 'false'
    case 'string':
      return escapeText(keepText(String(value)))
  }
}

export function escapeMeasurement(name: string): string {
  return /[, ]/.test(name) ? name.replace(/[, ]/g, '\\$&') : name
}

/** Tag keys, tag values and field keys. */
export function escapeKey(name: string): string {
  return /[,= ]/.test(name) ? name.replace(/[,= ]/g, '\\$&') : name
}

function escapeText(text: string): string {
  return /["\\]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : `"${text}"`
}

function namesProblem({ tenant, device, stream, field }: Series): SluiceError | undefined {
  if (!areStorable(tenant, device, stream)) {
    return new SluiceError('name_invalid', `${JSON.stringify([tenant, device, stream])} cannot be stored in InfluxDB`)
  }
  const code = fieldProblem(field)
  return code && new SluiceError(code, `${tenant}/${device} ${stream}: ${JSON.stringify(field)} is not a field name`)
}
