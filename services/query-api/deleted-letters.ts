import type { DeadLetter } from '../../shared/dead-letter.ts'
import { decodeRecords, SeriesTable } from '../../shared/decoders/decode.ts'
import { timeFromNumber, type DeviceTime } from '../../shared/decoders/device-time.ts'
import { REVISION_HEADER } from '../../shared/policies/revision.ts'
import type { DeviceNames } from '../../shared/registry/names-port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { spans, type Tombstone, type TombstoneView } from '../../shared/registry/tombstones-port.ts'
import type { Instant, LogRecord } from '../../shared/telemetry.ts'
import { DEFAULT_STREAM, parseDeviceKey, parseTelemetryTopic } from '../../shared/topics.ts'
import { ownedPoints } from './owned-points.ts'

/** A reading that a letter holds, of the device with this uid. */
interface HeldReading {
  readonly device: string
  readonly stream: string
  readonly at: Instant
}

/** Values of a payload that are looked at for times. */
const MAX_VALUES = 20_000
/** Names under which devices write a time. */
const TIMES = new Set(['ts', 'time', 'timestamp', 'tst', 'datetime', 'utc'])

/**
 * Which letters hold readings that were deleted: those are shown to nobody, and not replayed. They lie in the log until its
 * retention removes them. A letter goes as a whole, when one reading in it lies in a deleted span, as far as times can be
 * read from it; where none can, its receive time counts.
 */
export class DeletedLetters {
  readonly #tombstones: TombstoneView
  readonly #names: DeviceNames
  readonly #table = new SeriesTable()

  constructor(tombstones: TombstoneView, names: DeviceNames) {
    this.#tombstones = tombstones
    this.#names = names
  }

  /** As of now. Error: that of the registry. */
  static async of({ tombstones, names }: Pick<Registry, 'tombstones' | 'names'>): Promise<DeletedLetters> {
    return new DeletedLetters(await tombstones.current(), names)
  }

  /** `letter` with its whole payload. Costs nothing where nothing of the tenant was deleted. */
  has(letter: DeadLetter): boolean {
    if (this.#tombstones.isEmpty) return false
    const owner = parseDeviceKey(letter.key)
    if (owner === undefined || !this.#tombstones.hasTenant(owner.tenant)) return false
    const { tenant, device } = owner
    const covering = (uid: string): readonly Tombstone[] => {
      const known = this.#tombstones.of(tenant, uid)
      return known.filter(({ receivedMs }) => receivedMs === undefined || letter.ms <= receivedMs)
    }
    // Most devices of the tenant have none, and a message of several devices names them in its payload.
    const parsed = parseTelemetryTopic(letter.topic ?? '')
    const isOfOne = letter.topic === undefined || parsed !== undefined
    if (isOfOne && covering(device).length === 0) return false
    const stream = parsed !== undefined && 'stream' in parsed ? parsed.stream : DEFAULT_STREAM
    const held = this.#readings(letter, { device, stream })
    return held.some((one) => covering(one.device).some((tombstone) => spans(tombstone, one.stream, one.at)))
  }

  #readings(letter: DeadLetter, own: { device: string; stream: string }): HeldReading[] {
    const decoded = decodeRecords([recordOf(letter)], this.#table)
    const held = ownedPoints(decoded, letter.key, this.#names).flatMap(({ points }): HeldReading[] =>
      points.series.map(({ device, stream }, i) => {
        return { device, stream, at: { ms: points.ms[i] ?? 0, ns: points.ns[i] ?? 0 } }
      }),
    )
    // A reading of which nothing can be stored is no point, and may say its time all the same.
    for (const at of writtenTimes(letter.payload)) held.push({ device: own.device, stream: own.stream, at })
    if (held.length === 0) held.push({ device: own.device, stream: own.stream, at: letter })
    return held
  }
}

/** By what is built in: where a time is told by a policy, it does not differ. */
function recordOf({ key, payload: value, ms, ns, scheme, headers, topic }: DeadLetter): LogRecord {
  const { [REVISION_HEADER]: _revision, ...others } = headers ?? {}
  const named = topic === undefined || others['topic'] !== undefined ? others : { ...others, topic }
  return { key, value, ms, ns, scheme, headers: named }
}

function writtenTimes(payload: Uint8Array): Instant[] {
  const found: Instant[] = []
  const left: unknown[] = [parsedJson(payload)]
  for (let looked = 0; looked < MAX_VALUES && left.length > 0; looked++) {
    const value = left.pop()
    if (typeof value !== 'object' || value === null) continue
    for (const [name, below] of Object.entries(value)) {
      const at = TIMES.has(name.toLowerCase()) ? writtenTime(below) : undefined
      if (at !== undefined) found.push(at)
      if (left.length < MAX_VALUES) left.push(below)
    }
  }
  return found
}

function writtenTime(value: unknown): Instant | undefined {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
  if (/^\d+(\.\d+)?$/.test(text)) {
    const digits = Buffer.from(text)
    const at: DeviceTime = { ms: 0, ns: 0 }
    return timeFromNumber(digits, 0, digits.length, at) === undefined ? at : undefined
  }
  const ms = text === '' ? Number.NaN : Date.parse(text)
  return Number.isNaN(ms) ? undefined : { ms, ns: 0 }
}

function parsedJson(payload: Uint8Array): unknown {
  try {
    // A number that is none is what is wrong with many letters.
    return JSON.parse(
      Buffer.from(payload)
        .toString('utf8')
        .replaceAll(/\b(NaN|Infinity)\b/g, 'null'),
    )
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
