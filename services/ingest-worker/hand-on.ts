import type { Admissions } from './admissions.ts'
import { recordsForOwner } from '../../shared/decoders/for-owner.ts'
import { RecordsTooLarge, type TelemetryLog } from '../../shared/log/port.ts'
import { SAME_TIME_HEADER, writeFrom } from '../../shared/record.ts'
import type { DeviceNames } from '../../shared/registry/names-port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { deviceKey, parseDeviceKey } from '../../shared/topics.ts'
import type { IngestMetrics } from './metrics.ts'
import type { Retry } from './retry.ts'
import type { LateFault, Slice } from './slice.ts'

/** Records, and bytes of their values, per append. */
const APPEND_RECORDS = 1000
const APPEND_BYTES = 4 * 1024 * 1024

/** A record that is to be appended, and what it was made of. */
interface Made {
  readonly made: LogRecord
  /** Index of the source in the slice. */
  readonly record: number
  readonly device: string
}

/**
 * Appends readings that stand in records of several devices to the log again, under the key of their device: whoever owns
 * its partition stores them. They keep the receive time of their record, and say where they come from, so that the owner
 * knows a copy; see taken.ts.
 */
export class HandOn {
  readonly #log: Pick<TelemetryLog, 'append'>
  readonly #names: DeviceNames
  readonly #admissions: Admissions
  readonly #retry: Retry
  readonly #metrics: Pick<IngestMetrics, 'handedOn'>

  constructor(options: {
    log: Pick<TelemetryLog, 'append'>
    names: DeviceNames
    admissions: Admissions
    retry: Retry
    metrics: Pick<IngestMetrics, 'handedOn'>
  }) {
    this.#log = options.log
    this.#names = options.names
    this.#admissions = options.admissions
    this.#retry = options.retry
    this.#metrics = options.metrics
  }

  /**
   * Resolves when all that the slices hold of other devices is durable in the log, in the order of the slices; called
   * again with the same slices it appends copies. Gives what the log will never take.
   */
  async append(slices: readonly Slice[]): Promise<readonly LateFault[]> {
    const refused: LateFault[] = []
    for (const slice of slices) {
      if (slice.decoded.others.length === 0) continue
      const unknown = await this.#unknownOf(slice, refused)
      for (const portion of portions(this.#recordsOf(slice, unknown))) {
        const tooLarge = await this.#retry.run('log', () => this.#append(portion.map(({ made }) => made)))
        for (const { made, record, device } of portion) {
          if (!tooLarge.has(made)) continue
          const detail = `the readings of device ${JSON.stringify(device)} are too large for a record of their own`
          refused.push({ slice, record, fault: { element: null, path: null, code: 'payload_too_large', detail } })
        }
      }
    }
    return refused
  }

  async #append(records: readonly LogRecord[]): Promise<ReadonlySet<LogRecord>> {
    try {
      await this.#log.append('telemetry.raw', records)
      this.#metrics.handedOn.inc(records.length)
      return new Set()
    } catch (error) {
      if (!(error instanceof RecordsTooLarge)) throw error
      this.#metrics.handedOn.inc(records.length - error.records.size)
      return error.records
    }
  }

  /** The devices that there are not, by tenant and name; each is a fault of each record that names it. */
  async #unknownOf(slice: Slice, refused: LateFault[]): Promise<ReadonlySet<string>> {
    const { records, decoded } = slice
    const unknown = new Map<string, string | undefined>()
    const told = new Set<string>()
    for (const { record, device } of decoded.others) {
      const source = records[record]
      const tenant = source === undefined ? undefined : parseDeviceKey(source.key)?.tenant
      if (source === undefined || tenant === undefined) continue
      const name = deviceKey(tenant, device)
      if (!unknown.has(name)) {
        unknown.set(name, await this.#admissions.refusalOf(source.headers?.['login'], tenant, device))
      }
      const detail = unknown.get(name)
      if (detail === undefined || told.has(`${record} ${name}`)) continue
      told.add(`${record} ${name}`)
      const fault = { element: null, path: null, code: 'device_unknown', detail } as const
      refused.push({ slice, record, fault })
    }
    return new Set([...unknown].filter(([, detail]) => detail !== undefined).map(([name]) => name))
  }

  /** Numbered within their source in an order that the payload alone decides: a copy has the same number. */
  *#recordsOf(slice: Slice, unknown: ReadonlySet<string>): Generator<Made> {
    const { progress, firstOffset, records, decoded } = slice
    let element = 0
    let last = -1
    for (const { record, device, stream, points } of decoded.others) {
      const source = records[record]
      const tenant = source === undefined ? undefined : parseDeviceKey(source.key)?.tenant
      if (source === undefined || tenant === undefined) continue
      if (record !== last) element = 0
      last = record
      const rule = decoded.sameTimes?.get(record)
      const isKnown = !unknown.has(deviceKey(tenant, device))
      const owner = { tenant, device, uid: this.#names.uidOf(tenant, device), stream }
      const { log, partition } = progress
      const mark = () => ({
        ...(rule === undefined ? {} : { [SAME_TIME_HEADER]: rule }),
        from: writeFrom({ log, partition, offset: firstOffset + record, element: element++ }),
      })
      for (const made of recordsForOwner(source, owner, points, mark)) if (isKnown) yield { made, record, device }
    }
  }
}

function* portions(all: Iterable<Made>): Generator<Made[]> {
  let portion: Made[] = []
  let bytes = 0
  for (const one of all) {
    portion.push(one)
    bytes += one.made.value.byteLength
    if (portion.length < APPEND_RECORDS && bytes < APPEND_BYTES) continue
    yield portion
    portion = []
    bytes = 0
  }
  if (portion.length > 0) yield portion
}
