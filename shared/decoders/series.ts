import type { FieldType, Series } from '../telemetry.ts'
import { deviceKey, type TelemetryTopic } from '../topics.ts'

/** How many series the streams of one generation hold together. */
export interface SeriesCount {
  series: number
}

/** The series of one stream of one device: the same object every time for the same field and type. */
export class StreamSeries {
  /** `{tenant}/{uid}`. */
  readonly key: string
  /** Of the device the uid. */
  readonly #names: TelemetryTopic
  readonly #byType: Record<FieldType, Map<string, Series> | undefined> = {
    float: undefined,
    integer: undefined,
    boolean: undefined,
    string: undefined,
  }
  #count: SeriesCount
  #size = 0

  constructor(names: TelemetryTopic, count: SeriesCount) {
    this.key = deviceKey(names.tenant, names.device)
    this.#names = names
    this.#count = count
  }

  get stream(): string {
    return this.#names.stream
  }

  get size(): number {
    return this.#size
  }

  /** Counts the stream's series there from now on. */
  moveTo(count: SeriesCount): void {
    this.#count.series -= this.#size
    this.#count = count
    count.series += this.#size
  }

  get(field: string, type: FieldType): Series {
    const known = this.#byType[type]?.get(field)
    if (known !== undefined) return known
    const { tenant, device, stream } = this.#names
    const series = { tenant, device, stream, field, type, seat: undefined, streamKey: undefined }
    const fields = this.#byType[type] ?? new Map<string, Series>()
    this.#byType[type] = fields
    fields.set(field, series)
    this.#size += 1
    this.#count.series += 1
    return series
  }
}
