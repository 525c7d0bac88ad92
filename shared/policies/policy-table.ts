import { isUploadedName } from '../decoders/decoder-names.ts'
import { SluiceError } from '../errors.ts'
import type { LogRecord } from '../telemetry.ts'
import { resolve, type PolicyDocument } from './document.ts'
import { parseRevision, REVISION_HEADER } from './revision.ts'
import { parseDeviceKey, parseTelemetryTopic } from '../topics.ts'
import { DEFAULT_POLICY, deviceZoneOf, type Policy } from './settings.ts'

/** Characters of the documents kept in one of two generations: what some ten thousand tenants have in use, or 32 MB. */
const HALF = 8 * 1024 * 1024
/** What a policy takes beside its document. */
const EACH = 500

/** Both documents of a revision, ready for decoding. */
interface Compiled {
  readonly policy: Policy
  readonly streams: ReadonlyMap<string, Policy>
  readonly weight: number
  readonly namesUploaded: boolean
  /** Of the policies that name zones of devices: by the device. */
  readonly devices: ReadonlyMap<Policy, ReadonlyMap<string, Policy>>
}

/** Looks documents up by their ids; those that nobody knows are not in the answer. */
export type FindDocuments = (ids: readonly string[]) => Promise<ReadonlyMap<string, PolicyDocument>>

/**
 * The policies that records are decoded by: those which their headers name, and never others, so that a record that is
 * read again is decoded alike. Bounded as the table of series is.
 */
export class PolicyTable {
  #young = new Map<string, Compiled>()
  #old = new Map<string, Compiled>()
  #weight = 0
  #namesUploaded = false

  /** A policy that was met since the start names a decoder which somebody uploaded. */
  get namesUploaded(): boolean {
    return this.#namesUploaded
  }

  /** Revisions kept, for a metric. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** Of the revisions that the records name those which are not known here. The others stay known until the next call. */
  missing(records: readonly LogRecord[]): string[] {
    let missing: Set<string> | undefined
    if (this.#weight > HALF) this.#forget()
    let last: string | undefined
    for (const { headers } of records) {
      const rv = headers?.[REVISION_HEADER]
      if (rv === undefined || rv === last) continue
      last = rv
      if (!this.#isKept(rv)) (missing ??= new Set()).add(rv)
    }
    return missing === undefined ? [] : [...missing]
  }

  /**
   * Learns what the records name. Error: `policy_unknown` when the registry does not know it either, and those of `find`.
   */
  async learn(records: readonly LogRecord[], find: FindDocuments): Promise<void> {
    for (let missing = this.missing(records); missing.length > 0; missing = this.missing(records)) {
      const ids = new Set(missing.flatMap((rv) => Object.values(parseRevision(rv))).filter((id) => id !== ''))
      const documents = await find([...ids])
      const get = (id: string): PolicyDocument | undefined => (id === '' ? {} : documents.get(id))
      for (const rv of missing) {
        const { tenant, fallback } = parseRevision(rv)
        const own = get(tenant)
        const general = get(fallback)
        if (own === undefined || general === undefined) {
          const key = records.find(({ headers }) => headers?.[REVISION_HEADER] === rv)?.key ?? ''
          throw new SluiceError('policy_unknown', `a record of ${key} is to be decoded by the policies ${rv}`)
        }
        const compiled = compile(own, general)
        this.#namesUploaded ||= compiled.namesUploaded
        this.#add(rv, compiled)
      }
    }
  }

  /** The policy of a record of the stream. The record was among those of the last {@link missing}, and nothing was. */
  of(record: LogRecord, stream: string): Policy {
    const rv = record.headers?.[REVISION_HEADER]
    if (rv === undefined) return DEFAULT_POLICY
    const compiled = this.#young.get(rv)
    if (compiled === undefined) throw new SluiceError('policy_unknown', `the policies ${rv} are not known here yet`)
    const policy = compiled.streams.get(stream) ?? compiled.policy
    return policy.device_zones.length === 0 ? policy : ofDevice(record, policy, compiled)
  }

  #isKept(rv: string): boolean {
    if (this.#young.has(rv)) return true
    const compiled = this.#old.get(rv)
    if (compiled === undefined) return false
    this.#old.delete(rv)
    this.#add(rv, compiled)
    return true
  }

  #add(rv: string, compiled: Compiled): void {
    this.#young.set(rv, compiled)
    this.#weight += compiled.weight
  }

  #forget(): void {
    this.#old = this.#young
    this.#young = new Map()
    this.#weight = 0
  }
}

function compile(tenant: PolicyDocument, fallback: PolicyDocument): Compiled {
  const documents = { tenant, default: fallback }
  const names = Object.keys(tenant.streams ?? {})
  const { policy } = resolve(undefined, documents)
  const streams = new Map(names.map((stream) => [stream, resolve(stream, documents).policy]))
  const all = [policy, ...streams.values()]
  return {
    policy,
    streams,
    devices: new Map(all.filter((one) => one.device_zones.length > 0).map((one) => [one, byDevice(one)])),
    namesUploaded: all.some(({ decoder }) => isUploadedName(decoder)),
    weight: EACH + JSON.stringify(tenant).length + JSON.stringify(fallback).length,
  }
}

function byDevice(policy: Policy): ReadonlyMap<string, Policy> {
  const zones = policy.device_zones.flatMap((text) => deviceZoneOf(text) ?? [])
  return new Map(zones.map(({ device, zone }) => [device, { ...policy, time_zone: zone }]))
}

/** By the name that the device had when it sent the record, or its uid. */
function ofDevice({ key, headers }: LogRecord, policy: Policy, { devices }: Compiled): Policy {
  const known = devices.get(policy)
  const named = parseTelemetryTopic(headers?.['topic'] ?? '')?.device
  return known?.get(named ?? '') ?? known?.get(parseDeviceKey(key)?.device ?? '') ?? policy
}
