import type { DecoderDefinition } from '../registry/decoders-port.ts'
import type { LogRecord } from '../telemetry.ts'

/** Where a network server's JSON has the bytes, the port and the time of an uplink. Paths of keys, joined with dots. */
interface Envelope {
  readonly bytes: string
  readonly encoding: 'base64' | 'hex'
  readonly port?: string | undefined
  readonly time?: string | undefined
}

const TTN: Envelope = {
  bytes: 'uplink_message.frm_payload',
  encoding: 'base64',
  port: 'uplink_message.f_port',
  time: 'received_at',
}
const CHIRPSTACK: Envelope = { bytes: 'data', encoding: 'base64', port: 'fPort', time: 'time' }
const KNOWN = { ttn: [TTN], chirpstack: [CHIRPSTACK], bytes: [] } as const
const ANY = [TTN, CHIRPSTACK]

const OPEN = 0x7b

/** Options of a codec, and what is wrong with them; undefined: nothing. */
export function wrongCodecOptions(options: DecoderDefinition['options']): string | undefined {
  for (const [name, value] of Object.entries(options)) {
    if (name === 'port' && Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 255) continue
    if (name === 'input' && (value === 'auto' || (typeof value === 'string' && Object.hasOwn(KNOWN, value)))) continue
    if (name === 'encoding' && (value === 'base64' || value === 'hex')) continue
    if (['bytes_path', 'port_path', 'time_path'].includes(name) && typeof value === 'string' && value !== '') continue
    return `the option ${name} is ${JSON.stringify(value)}: there are port (0 to 255), input (auto, bytes, ttn, chirpstack), bytes_path, encoding (base64, hex), port_path and time_path`
  }
  return undefined
}

interface About {
  readonly record: LogRecord
  readonly topic: string
  readonly stream: string
  readonly timeKeys: readonly string[]
}

/** What a codec gets of a payload, as JSON: what the payload is when no envelope is around it is bytes. */
export function codecInput(payload: Uint8Array, options: DecoderDefinition['options'], about: About): string {
  const found = openEnvelope(payload, envelopesOf(options))
  const bytes = found?.bytes ?? payload
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { record, topic, stream, timeKeys } = about
  const sent = found?.time === undefined ? Number.NaN : Date.parse(found.time)
  return JSON.stringify({
    bytes: [...buffer],
    text: buffer.toString('utf8'),
    fPort: found?.port ?? options['port'] ?? 1,
    topic,
    stream,
    recvMs: Number.isNaN(sent) ? record.ms : sent,
    ...(Number.isNaN(sent) ? {} : { time: found?.time }),
    timeKeys,
  })
}

function envelopesOf(options: DecoderDefinition['options']): readonly Envelope[] {
  const { input = 'auto', bytes_path: bytes, encoding, port_path: port, time_path: time } = options
  if (bytes !== undefined) {
    const paths = {
      port: port === undefined ? undefined : String(port),
      time: time === undefined ? undefined : String(time),
    }
    return [{ bytes: String(bytes), encoding: encoding === 'hex' ? 'hex' : 'base64', ...paths }]
  }
  return typeof input === 'string' && Object.hasOwn(KNOWN, input) ? KNOWN[input as keyof typeof KNOWN] : ANY
}

interface Opened {
  readonly bytes: Uint8Array
  readonly port: number | undefined
  readonly time: string | undefined
}

/** Undefined where the payload is no such JSON. */
function openEnvelope(payload: Uint8Array, envelopes: readonly Envelope[]): Opened | undefined {
  if (envelopes.length === 0 || payload[0] !== OPEN) return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  for (const { bytes: path, encoding, port: portPath, time: timePath } of envelopes) {
    const bytes = at(parsed, path)
    if (typeof bytes !== 'string') continue
    const port = portPath === undefined ? undefined : at(parsed, portPath)
    const time = timePath === undefined ? undefined : at(parsed, timePath)
    return {
      bytes: Buffer.from(bytes, encoding),
      port: typeof port === 'number' ? port : undefined,
      time: typeof time === 'string' ? time : undefined,
    }
  }
  return undefined
}

function at(value: unknown, path: string): unknown {
  let found = value
  for (const key of path.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined
    found = (found as Record<string, unknown>)[key]
  }
  return found
}
