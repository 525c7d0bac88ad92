import { compareInstants, formatInstant } from '../../telemetry.ts'
import type { DeleteRange } from '../port.ts'
import { InfluxRefusal } from './answers.ts'
import { SluiceError } from '../../errors.ts'
import type { InfluxConnection } from './connection.ts'
import { ALL_TIME, justBefore } from './flux.ts'
import { areStorable, keepName, measurementOf } from './names.ts'
import type { InfluxReader } from './reader.ts'

/**
 * Deletes ranges of points, measurement by measurement: a predicate knows only equality, no field and no prefix.
 * https://docs.influxdata.com/influxdb/v2/reference/syntax/delete-predicate/
 */
export class InfluxDeleter {
  readonly #connection: InfluxConnection
  readonly #reader: InfluxReader
  readonly #path: string

  constructor(options: { connection: InfluxConnection; org: string; bucket: string }, reader: InfluxReader) {
    this.#connection = options.connection
    this.#reader = reader
    const { org, bucket } = options
    this.#path = `/api/v2/delete?${new URLSearchParams({ org, bucket }).toString()}`
  }

  /** Resolves when queries no longer see the points. */
  async delete(range: DeleteRange): Promise<void> {
    const { tenant, device, stream, from = ALL_TIME.from, to = ALL_TIME.to } = range
    if (!areStorable(tenant, device, stream) || compareInstants(from, to) >= 0) return
    const measurements =
      stream === undefined ? await this.#reader.measurements(tenant) : [measurementOf(tenant, stream)]
    for (const measurement of measurements) {
      const ofDevice = device === undefined ? '' : ` AND device=${quote(keepName(device))}`
      const predicate = `_measurement=${quote(measurement)}${ofDevice}`
      // Both ends are inclusive.
      const body = { start: formatInstant(from), stop: formatInstant(justBefore(to)), predicate }
      await this.#send(JSON.stringify(body))
    }
  }

  async #send(body: string): Promise<void> {
    try {
      await this.#connection.send({ what: 'delete', method: 'POST', path: this.#path, body })
    } catch (error) {
      if (!(error instanceof InfluxRefusal)) throw error
      throw new SluiceError('internal', `InfluxDB rejects a delete: ${error.message}`, { cause: error })
    }
  }
}

/** As they are kept, names hold no backslash and no line feed. */
function quote(name: string): string {
  return `"${name.replaceAll('"', '\\"')}"`
}
