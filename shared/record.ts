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
 */
import { REVISION_HEADER } from './policies/revision.ts'
import { DEFAULT_STREAM, type TelemetryTopic } from './topics.ts'

/** What knows the policies in force, see `Policies`. */
interface Revisions {
  revisionOf(tenant: string): string | undefined
}

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
