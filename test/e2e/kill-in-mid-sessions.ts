import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { expect, onTestFinished } from 'vitest'
import { PATIENCE } from '../patience.ts'
import { randomFrom } from './kill-in-mid-load.ts'
import { startServer, type Server } from './server.ts'

/** Numbers of what was acknowledged, or answered as queued, and is not there at the end. */
export interface SessionLosses {
  readonly acknowledged: number
  readonly retained: readonly string[]
  readonly queued: readonly number[]
  readonly commands: readonly number[]
  /** Sessions that are not present. */
  readonly sessions: number
}

export interface SessionKillPlan {
  readonly seed: number
  readonly entry?: string
  readonly kills?: number
}

const TOPICS = 20
/** So much is told to be done before each kill. */
const LEAST = 20
/** The longest that the load lasts then. */
const LONGEST_LIFE_MS = 1_000
/** A session keeps a thousand messages: the load stops before. */
const MOST = 450
const DEVICE = { tenant: 'demo', device: 'away' }

interface Login {
  readonly username: string
  readonly password: string
}

/** What was told to be done. */
class Acknowledged {
  readonly retained = new Map<string, number>()
  readonly queued = new Set<number>()
  readonly commands = new Set<number>()
}

/**
 * Retained messages, messages for a subscriber that is away and commands for a device that is away, while the server is
 * killed at random moments; then the clients come back.
 */
export async function killInMidSessions({ seed, entry, kills = 3 }: SessionKillPlan): Promise<SessionLosses> {
  const random = randomFrom(seed)
  const own = entry === undefined ? {} : { entry }
  let server = await startServer(own)
  const app = await addLogin(server, '/v1/applications', { name: 'load', rules: RULES })
  const device = await addLogin(server, '/v1/devices', DEVICE)
  await leaveSession(server, app, 'away', 'queue/#')
  await leaveSession(server, device, 'away', `t/${DEVICE.tenant}/${DEVICE.device}/cmd/#`)
  const told = new Acknowledged()
  for (let kill = 0; kill < kills; kill += 1) {
    const load = startLoad(server, app, told)
    await load.begun
    // Not synchronisation: the moment of the kill is what the seed decides.
    await new Promise((resolve) => setTimeout(resolve, random() * LONGEST_LIFE_MS))
    await server.kill('SIGKILL')
    await load.ended
    const { folder, mqttPort, httpPort } = server
    server = await startServer({ ...own, folder, mqttPort, httpPort })
  }
  // What a known-wrong variant lost does not come, however long it is waited for.
  return lossesOf({ server, silenceMs: entry === undefined ? 10_000 : 2_000 }, app, device, told)
}

const RULES = ['publish', 'subscribe'].map((action) => ({ effect: 'allow', action, topic: '#' }))

async function addLogin({ url, token }: Server, path: string, body: object): Promise<Login> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  const made = (await response.json()) as { username?: string; secret: string; name?: string }
  return { username: made.username ?? made.name ?? '', password: made.secret }
}

function connect({ mqttPort }: Server, login: Login, options: IClientOptions): Promise<MqttClient> {
  const url = `mqtt://127.0.0.1:${mqttPort}`
  return mqtt.connectAsync(url, { ...login, reconnectPeriod: 0, ...options })
}

async function leaveSession(server: Server, login: Login, clientId: string, filter: string): Promise<void> {
  const client = await connect(server, login, { clientId, clean: false })
  await client.subscribeAsync(filter, { qos: 1 })
  await client.endAsync()
}

/** Ends with the server. */
function startLoad(server: Server, app: Login, told: Acknowledged): { begun: Promise<void>; ended: Promise<unknown> } {
  const begun = Promise.withResolvers<void>()
  let done = 0
  const publishing = async (): Promise<void> => {
    const client = await connect(server, app, { clientId: 'load', clean: true })
    client.on('error', () => undefined)
    onTestFinished(() => void client.end(true))
    const gone = new Promise<void>((resolve) => client.once('close', () => resolve()))
    const publishAll = async (): Promise<void> => {
      for (;;) {
        const n = (attempts += 1)
        const topic = `state/${n % TOPICS}`
        await client.publishAsync(topic, String(n), { qos: 1, retain: true })
        told.retained.set(topic, n)
        done += 1
        if (done === LEAST) begun.resolve()
        if (told.queued.size >= MOST) continue
        const number = (attempts += 1)
        await client.publishAsync('queue/x', String(number), { qos: 1 })
        told.queued.add(number)
      }
    }
    await Promise.race([publishAll(), gone])
  }
  const commanding = async (): Promise<void> => {
    const { url, token } = server
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    while (told.commands.size < MOST) {
      const number = (attempts += 1)
      const body = JSON.stringify({ name: 'set', payload: String(number) })
      const path = `${url}/v1/devices/${DEVICE.tenant}/${DEVICE.device}/commands`
      const response = await fetch(path, { method: 'POST', headers, body })
      const { result } = (await response.json()) as { result?: string }
      if (result === 'queued') told.commands.add(number)
    }
  }
  // Both end with an error when the server is gone.
  const ended = Promise.allSettled([publishing(), commanding()])
  return { begun: begun.promise, ended }
}

/** Another number for each attempt: one that was not acknowledged may be there all the same. */
let attempts = 0

/** Where the losses are looked for. */
interface Place {
  readonly server: Server
  /** Behind the last message that came, nothing more is waited for. */
  readonly silenceMs: number
}

async function lossesOf(place: Place, app: Login, device: Login, told: Acknowledged): Promise<SessionLosses> {
  const queued = await received(place, app, 'away', told.queued)
  const commands = await received(place, device, 'away', told.commands)
  const values = await retainedValues(place, app, told.retained)
  return {
    acknowledged: told.retained.size + told.queued.size + told.commands.size,
    // Another one may have been stored that was not acknowledged any more.
    retained: [...told.retained].filter(([topic, n]) => !((values.get(topic) ?? 0) >= n)).map(([topic]) => topic),
    queued: [...told.queued].filter((n) => !queued.numbers.has(n)),
    commands: [...told.commands].filter((n) => !commands.numbers.has(n)),
    sessions: [queued, commands].filter(({ isPresent }) => !isPresent).length,
  }
}

/** What waits for a session; all that is expected, or as much as has come when a last message has. */
async function received(
  { server, silenceMs }: Place,
  login: Login,
  clientId: string,
  expected: ReadonlySet<number>,
): Promise<{ numbers: Set<number>; isPresent: boolean }> {
  const numbers = new Set<number>()
  const client = mqtt.connect(`mqtt://127.0.0.1:${server.mqttPort}`, {
    ...login,
    clientId,
    clean: false,
    reconnectPeriod: 0,
  })
  onTestFinished(() => void client.end(true))
  let last = 0
  client.on('message', (_topic, payload) => {
    numbers.add(Number(payload.toString()))
    last = Date.now()
  })
  const isPresent = await new Promise<boolean>((resolve, reject) => {
    client.once('connect', ({ sessionPresent }) => resolve(sessionPresent))
    client.once('error', reject)
  })
  const isDone = (): boolean =>
    [...expected].every((n) => numbers.has(n)) || (last > 0 && Date.now() - last > silenceMs)
  if (isPresent) await expect.poll(isDone, PATIENCE).toBe(true)
  return { numbers, isPresent }
}

/** What is retained; all that is expected, or as much as has come when a last message has. */
async function retainedValues(
  { server, silenceMs }: Place,
  app: Login,
  expected: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, number>> {
  const values = new Map<string, number>()
  const client = await connect(server, app, { clientId: 'reader', clean: true })
  onTestFinished(() => void client.end(true))
  let last = Date.now()
  client.on('message', (topic, payload) => {
    values.set(topic, Number(payload.toString()))
    last = Date.now()
  })
  await client.subscribeAsync('state/#', { qos: 1 })
  const isThere = ([topic, n]: readonly [string, number]): boolean => (values.get(topic) ?? 0) >= n
  await expect.poll(() => [...expected].every(isThere) || Date.now() - last > silenceMs, PATIENCE).toBe(true)
  return values
}
