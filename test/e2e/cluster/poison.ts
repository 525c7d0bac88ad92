import { randomFrom } from '../kill-in-mid-load.ts'

/** A message, and what has to become of it. */
export interface Poisoned {
  readonly device: string
  readonly topic: string
  readonly payload: Buffer
  /** Fields that are stored at `ms`. */
  readonly stored: Readonly<Record<string, unknown>>
  readonly ms: number
  /** Codes of its faults, or the one that it is refused with before the log. */
  readonly faults: readonly string[]
  readonly refused?: string
  /** What a mended policy makes of it, and a replay stores. */
  readonly mended?: Readonly<Record<string, unknown>>
}

export const BIN_STREAM = 'bin'
export const POISON_SHARE = 0.03
/** Of a device that nobody may write for. */
const ELSEWHERE = 'elsewhere'
const DAY_MS = 86_400_000

interface Place {
  readonly tenant: string
  readonly device: string
  readonly n: number
  /** Of the first message. */
  readonly startMs: number
}

type Made = Omit<Poisoned, 'device'>
type Kind = (place: Place) => Made

function message({ tenant, device, n, startMs }: Place, text: string | Buffer, rest: Partial<Made> = {}): Made {
  const topic = `t/${tenant}/${device}/telemetry`
  return { topic, payload: Buffer.from(text), ms: startMs + n, stored: {}, faults: [], ...rest }
}

const good: Kind = (place) => {
  const fields = { a: place.n, b: place.n / 2, c: `t${place.n}` }
  return message(place, JSON.stringify({ ts: place.startMs + place.n, ...fields }), { stored: fields })
}

/** Twelve ways in which a message is not what it should be. */
export const KINDS: Readonly<Record<string, Kind>> = {
  'cut off': (at) => message(at, `{"ts":${at.startMs + at.n},"a":${at.n},`, { faults: ['payload_not_json'] }),
  'a name twice': (at) =>
    message(at, `{"ts":${at.startMs + at.n},"a":${at.n},"b":1,"a":7}`, {
      ...{ stored: { a: at.n, b: 1 }, faults: ['field_duplicate'] },
    }),
  'no double': (at) =>
    message(at, `{"ts":${at.startMs + at.n},"a":1e999,"b":${at.n}}`, {
      ...{ stored: { b: at.n }, faults: ['value_out_of_range'] },
    }),
  'a clock ahead': (at) => {
    const ms = at.startMs + 30 * DAY_MS + at.n
    return message(at, `{"ts":${ms},"a":${at.n}}`, { ms, faults: ['time_ahead'], mended: { a: at.n } })
  },
  'no time': (at) => message(at, `{"ts":"never","a":${at.n}}`, { faults: ['time_invalid'] }),
  'lists of lists': (at) =>
    message(at, `{"ts":${at.startMs + at.n},"a":${at.n},"x${at.n}":[[1]]}`, {
      ...{ stored: { a: at.n }, faults: ['list_left_out'] },
    }),
  'a long name': (at) =>
    message(at, `{"ts":${at.startMs + at.n},"a":${at.n},"${'x'.repeat(1025)}":1}`, {
      ...{ stored: { a: at.n }, faults: ['field_name_invalid'] },
    }),
  'half a character': (at) =>
    message(at, `{"ts":${at.startMs + at.n},"a":${at.n},"s":"\\ud800"}`, {
      ...{ stored: { a: at.n }, faults: ['value_unsupported'] },
    }),
  'no UTF-8': (at) => message(at, Buffer.from([0x7b, 0xff, 0xfe, at.n & 0xff, at.n >> 8]), { faults: ['payload_not_utf8'] }), // prettier-ignore
  // {"a": n} in CBOR, which its stream is not said to carry.
  'another format': (at) =>
    message(at, Buffer.from([0xa2, 0x62, 0x74, 0x73, 0x1b, ...bytesOf(at.startMs + at.n), 0x61, 0x61, 0x19, at.n >> 8, at.n & 0xff]), {
      ...{ topic: `t/${at.tenant}/${at.device}/telemetry/${BIN_STREAM}`, faults: ['payload_not_utf8'], mended: { a: at.n } },
    }), // prettier-ignore
  'not its topic': (at) => message({ ...at, device: ELSEWHERE }, '{"a":1}', { refused: 'not_authorised' }),
  'too large': (at) => message(at, `{"a":"${'x'.repeat(300_000)}"}`, { refused: 'payload_too_large' }),
}

function bytesOf(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

/** Messages of devices in turn, of which a share is poison, each kind as often as the others; always the same for a seed. */
export function poisonedMessages(options: {
  readonly tenant: string
  readonly devices: readonly string[]
  readonly count: number
  readonly startMs: number
  readonly seed: number
}): Poisoned[] {
  const { tenant, devices, count, startMs, seed } = options
  const random = randomFrom(seed)
  const kinds = Object.values(KINDS)
  let poisoned = 0
  return Array.from({ length: count }, (_unused, n) => {
    const device = devices[n % devices.length] ?? ''
    const kind = random() < POISON_SHARE ? kinds[poisoned++ % kinds.length] : undefined
    return { device, ...(kind ?? good)({ tenant, device, n, startMs }) }
  })
}
