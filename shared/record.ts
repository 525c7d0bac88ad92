/**
 * Keys and headers of the records of `telemetry.raw`. Headers are texts; those that are not known here are kept as they
 * are by whatever reads a record and writes it on (the log, dead letters, hand-on, migration).
 *
 * | header  | what it says                                                                                          |
 * | ------- | ----------------------------------------------------------------------------------------------------- |
 * | `ns`    | rest of the receive time, and scheme of the stamp; an adapter's own, see its format                   |
 * | `topic` | as published, where key and default stream do not give it                                             |
 * | `login` | the application that published it; absent where the device did itself, or an API key                  |
 * | `rv`    | the policies that it is decoded by; absent where there are none                                       |
 * | `qos`   | `0` or `2`; absent for 1, and in records from before 0.3                                              |
 * | `dup`   | `1`: the client said that it may have sent it before                                                  |
 * | `retain` | `1`: it was to be retained, which telemetry is not                                                   |
 * | `form`  | version of the canonical form in which it is, see decoders/handed-on.ts                                |
 * | `lines` | line protocol as clients of InfluxDB post it, see decoders/lines.ts: the unit of its times              |
 * | `st`    | beside `form`: `keep` or `last`, the policy `same_time`, where that is not what is built in              |
 * | `from`  | the record that it was made from, {@link From}                                                        |
 * | `watch` | how a message of a device under watch came, and when it went to the log: see `watch.ts`             |
 * | `replay` | of a record that was made from a dead letter: the try, from 1 on; see {@link isReplay}               |
 *
 * The key is `{tenant}/{uid}`, what keeps a device's records in one partition, in order. Where the devices are known only
 * when the payload is decoded it is `{tenant}/` with U+001E and the login, and the topic is that of the tenant.
 */
import { REVISION_HEADER } from './policies/revision.ts'
import type { LogRecord } from './telemetry.ts'
import { DEFAULT_STREAM, deviceKey, type TelemetryTopic } from './topics.ts'

/** What knows the policies in force, see `Policies`. */
interface Revisions {
  revisionOf(tenant: string): string | undefined
}

/** What is decided when the readings of a record that was handed on are stored. */
export const SAME_TIME_HEADER = 'st'
/** Of what is replayed: it is not moved beside what has its time, for it would be moved again each time. */
export const IN_PLACE = { [SAME_TIME_HEADER]: 'last' } as const

/** What is line protocol of whole streams and devices, and the unit of its times. */
export const LINES_HEADER = 'lines'

export type RecordHeaders = Readonly<Record<string, string>>

/**
 * Headers of what is published to a device's topic: of the message as most are sent, with QoS 1. `uid` is the device's,
 * `login` the name of the application that publishes. Undefined rather than empty.
 */
export function headersOf(
  { tenant, device, stream }: TelemetryTopic,
  uid: string,
  topic: string,
  policies: Revisions,
  login?: string,
): RecordHeaders | undefined {
  const rv = policies.revisionOf(tenant)
  const isPlain = stream === DEFAULT_STREAM && uid === device
  if (isPlain && rv === undefined && login === undefined) return undefined
  return {
    ...(isPlain ? {} : { topic }),
    ...(rv === undefined ? {} : { [REVISION_HEADER]: rv }),
    ...(login === undefined ? {} : { login }),
  }
}

/** The same of what is published for several devices of a tenant: their topic says that, whatever the key. */
export function headersOfSeveral(tenant: string, topic: string, policies: Revisions, login: string): RecordHeaders {
  const rv = policies.revisionOf(tenant)
  return rv === undefined ? { topic, login } : { topic, [REVISION_HEADER]: rv, login }
}

/** The headers of one route with those that tell how a message came: made once for each of the eleven other ways. */
export class HeaderSet {
  readonly usual: RecordHeaders | undefined
  readonly #others: RecordHeaders[] = []

  constructor(usual: RecordHeaders | undefined) {
    this.usual = usual
  }

  of(qos: number, isDup: boolean, isRetained: boolean): RecordHeaders | undefined {
    if (qos === 1 && !isDup && !isRetained) return this.usual
    const way = qos + (isDup ? 4 : 0) + (isRetained ? 8 : 0)
    return (this.#others[way] ??= {
      ...this.usual,
      ...(qos === 1 ? {} : { qos: String(qos) }),
      ...(isDup ? { dup: '1' } : {}),
      ...(isRetained ? { retain: '1' } : {}),
    })
  }
}

const OF_LOGIN = '\u001e'

/** Key of what a login publishes for several devices of a tenant. */
export function keyOfLogin(tenant: string, login: string): string {
  return deviceKey(tenant, `${OF_LOGIN}${login}`)
}

/** The login of a {@link keyOfLogin}; undefined for the key of a device. */
export function loginOfKey(key: string): string | undefined {
  const slash = key.indexOf('/')
  return slash >= 0 && key.startsWith(OF_LOGIN, slash + 1) ? key.slice(slash + 2) : undefined
}

/**
 * Where the readings of a record that was handed on stood: which log (see `LogBatch.log`), and in it the record, and which
 * of the records that were made of that one it is. Within a source they ascend.
 */
export interface From {
  readonly log: string
  readonly partition: number
  readonly offset: number
  readonly element: number
}

/** Whether its readings are stored only where the store has no value in their place. */
export function isReplay({ headers }: { readonly headers?: LogRecord['headers'] }): boolean {
  return headers?.['replay'] !== undefined
}

export function writeFrom({ log, partition, offset, element }: From): string {
  return `${log}/${partition}/${offset}/${element}`
}

/** Inverse of {@link writeFrom}; undefined for what it never writes. */
export function readFrom(text: string): From | undefined {
  const [, log, ...numbers] = /^([^/]*)\/(\d{1,15})\/(\d{1,15})\/(\d{1,15})$/.exec(text) ?? []
  const [partition, offset, element] = numbers.map(Number)
  if (log === undefined || partition === undefined || offset === undefined || element === undefined) return undefined
  return { log, partition, offset, element }
}
