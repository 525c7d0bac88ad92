import { ApiClient, devicePath } from '../../../shared/api-client.ts'
import { toSluiceError } from '../../../shared/errors.ts'
import { PATIENCE } from '../../patience.ts'
import type { Server } from '../server.ts'
import { loginRefused, missedBy, type Login } from './subscriber.ts'

/** Tenant of everything that is sent. */
export const TENANT = 'demo'
/** Time of reading 0 of those that carry one; each later one a millisecond after it. */
export const FIRST_MS = 1_700_000_000_000
/** Readings with a time and without one have streams of their own. */
export const STREAMS = { timed: 'telemetry', untimed: 'untimed' } as const
/** Client id of the session that is away. */
export const SLEEPER = 'sleeper'

/** One thing that the server acknowledged. */
export type Acknowledged =
  | { readonly what: 'device'; readonly device: string }
  | { readonly what: 'login'; readonly login: Login }
  /** Field `n` is the number of the reading. */
  | { readonly what: 'timed' | 'untimed'; readonly device: string; readonly n: number }
  | { readonly what: 'retained'; readonly topic: string; readonly payload: string; readonly reader: Login }
  /** For a session that was away: a command that was answered `queued`. */
  | { readonly what: 'queued'; readonly payload: string; readonly sleeper: Login }

export interface Look {
  /** What was acknowledged and is not there. */
  readonly missing: readonly string[]
  /** What is there and was never sent so. */
  readonly wrong: readonly string[]
  /** Codes with which questions were refused; what they asked for counts as neither. */
  readonly refused: readonly string[]
}

/** Everything that was acknowledged, and when its acknowledgement had surely come. */
export class Ledger {
  readonly #entries: { readonly entry: Acknowledged; readonly ms: number }[] = []

  /** Why requests were refused. */
  readonly refusals: string[] = []

  /** Undefined when the request was refused. */
  async answered<T>(answer: Promise<T>): Promise<T | undefined> {
    try {
      return await answer
    } catch (error) {
      this.refusals.push(String(error))
      return undefined
    }
  }

  acknowledged(entry: Acknowledged): void {
    this.#entries.push({ entry, ms: Date.now() + 1 })
  }

  /** What was acknowledged up to a moment, in milliseconds since 1970. */
  until(ms = Infinity): readonly Acknowledged[] {
    return this.#entries.flatMap((noted) => (noted.ms <= ms ? [noted.entry] : []))
  }
}

type Target = Pick<Server, 'url' | 'token' | 'mqttPort'>

/** Looks everything up, for as long as something is missing and may still come. */
export async function look(
  server: Target,
  acknowledged: readonly Acknowledged[],
  patienceMs = PATIENCE.timeout,
): Promise<Look> {
  const limit = performance.now() + patienceMs
  const api = new ApiClient(server)
  for (;;) {
    const found = { missing: [] as string[], wrong: [] as string[], refused: [] as string[] }
    await lookForDevices(api, acknowledged, found)
    await lookForReadings(api, acknowledged, found)
    const isOver = found.missing.length + found.refused.length === 0 || performance.now() > limit
    if (isOver) found.missing.push(...(await lookOverMqtt(server.mqttPort, acknowledged)))
    if (isOver) return found
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

interface Found {
  readonly missing: string[]
  readonly wrong: string[]
  readonly refused: string[]
}

async function asked<T>(question: Promise<T>, found: Found): Promise<T | undefined> {
  try {
    return await question
  } catch (error) {
    const { code, message } = toSluiceError(error)
    found.refused.push(`${code}: ${message}`)
    return undefined
  }
}

async function lookForDevices(api: ApiClient, acknowledged: readonly Acknowledged[], found: Found): Promise<void> {
  const question = api.get<{ devices: { device: string }[] }>(`/v1/devices?tenant=${TENANT}&limit=1000`)
  const devices = (await asked(question, found))?.devices.map(({ device }) => device)
  if (devices === undefined) return
  for (const entry of acknowledged) {
    if (entry.what === 'device' && !devices.includes(entry.device)) found.missing.push(`device ${entry.device}`)
  }
}

interface Readings {
  readonly series: readonly { readonly points: readonly (readonly [number, number])[] }[]
}

interface Latest {
  readonly streams: readonly {
    readonly stream: string
    readonly fields: Readonly<Record<string, { value: unknown }>>
  }[]
}

async function lookForReadings(api: ApiClient, acknowledged: readonly Acknowledged[], found: Found): Promise<void> {
  const readings = acknowledged.filter((entry) => 'n' in entry)
  for (const all of Map.groupBy(readings, ({ what, device }) => `${what} ${device}`).values()) {
    const { what, device } = all[0] ?? { what: 'timed', device: '' }
    const stream = STREAMS[what]
    const query = { from: 0, to: Date.now() + 86_400_000, limit: 10_000, field: 'n', stream }
    const answer = await asked(api.get<Readings>(devicePath(TENANT, device, '/readings'), query), found)
    if (answer === undefined) continue
    const points = answer.series.flatMap((series) => series.points)
    const values = new Set<unknown>(points.map(([, value]) => value))
    found.missing.push(...all.flatMap(({ n }) => (values.has(n) ? [] : [`${what} reading ${n} of ${device}`])))
    const wrong = what === 'timed' ? points.filter(([ms, n]) => ms !== FIRST_MS + n) : []
    found.wrong.push(...wrong.map((point) => `${device}: ${point.join(' ')}`))
    const latest = await asked(api.get<Latest>(devicePath(TENANT, device, '/latest')), found)
    const value = latest?.streams.find((state) => state.stream === stream)?.fields['n']?.value
    const newest = points.at(-1)?.[1]
    if (latest !== undefined && value !== newest) {
      found.missing.push(`latest ${what} reading of ${device}, ${newest}: it is ${String(value)}`)
    }
  }
}

async function lookOverMqtt(port: number, acknowledged: readonly Acknowledged[]): Promise<string[]> {
  const logins = acknowledged.flatMap((entry) => (entry.what === 'login' ? [entry.login] : []))
  const retained = acknowledged.filter((entry) => entry.what === 'retained')
  const queued = acknowledged.filter((entry) => entry.what === 'queued')
  const ofReaders = Array.from(
    Map.groupBy(retained, ({ reader }) => reader),
    ([login, all]) => {
      const wanted = all.map(({ topic, payload }) => `${topic} ${payload}`)
      return missedBy({ port, login, clientId: 'reader', filter: `t/${TENANT}/+/status/#` }, wanted)
    },
  )
  const ofSleepers = Array.from(
    Map.groupBy(queued, ({ sleeper }) => sleeper),
    ([login, all]) => {
      const wanted = all.map(({ payload }) => payload)
      return missedBy({ port, login, clientId: SLEEPER }, wanted)
    },
  )
  const missing = await Promise.all([...logins.map((login) => loginRefused(port, login)), ...ofReaders, ...ofSleepers])
  return missing.flat()
}
