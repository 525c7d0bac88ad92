import { REVISION_HEADER } from '../policies/revision.ts'
import { headersOf, LINES_HEADER, SAME_TIME_HEADER } from '../record.ts'
import type { LogRecord, PointBatch } from '../telemetry.ts'
import { deviceKey, formatTelemetryTopic } from '../topics.ts'
import { encodeHandedOn, FORM } from './handed-on.ts'

/** What is handed on is decoded already. */
const NO_POLICIES = { revisionOf: () => undefined }

/** A stream of a device: by its name and by its uid. */
export interface StreamOfOwner {
  readonly tenant: string
  readonly device: string
  readonly uid: string
  readonly stream: string
}

/**
 * Records in the canonical form that hold these points of a stream, which stood in `source`, for the owner of the device to
 * store: with the stamp of the source, and its headers but for those that say how it is to be decoded. `mark` gives what
 * each of them says of where it comes from.
 */
export function* recordsForOwner(
  source: LogRecord,
  owner: StreamOfOwner,
  points: PointBatch,
  mark: () => Readonly<Record<string, string>>,
): Generator<LogRecord> {
  const { tenant, uid, stream } = owner
  const { ms, ns, scheme } = source
  const own = headersOf(owner, uid, formatTelemetryTopic(owner), NO_POLICIES)
  const { topic: _topic, from: _from, replay: _replay, ...rest } = source.headers ?? {}
  const { [REVISION_HEADER]: _used, [SAME_TIME_HEADER]: _rule, [LINES_HEADER]: _unit, ...others } = rest
  for (const value of encodeHandedOn(stream, points)) {
    const headers = { ...others, ...own, form: FORM, ...mark() }
    yield { key: deviceKey(tenant, uid), value, ms, ns, scheme, headers }
  }
}
