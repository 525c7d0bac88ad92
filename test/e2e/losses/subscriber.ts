import mqtt from 'mqtt'
import { PATIENCE } from '../../patience.ts'

export interface Login {
  readonly username: string
  readonly secret: string
}

export interface Subscriber {
  readonly port: number
  readonly login: Login
  readonly clientId: string
  /** Subscribed to, in a clean session; without it, what a session waits with is received. */
  readonly filter?: string
}

/** Which of these messages (`topic payload`, or payloads alone) a client does not get when it connects. */
export async function missedBy(
  { port, login, clientId, filter }: Subscriber,
  wanted: readonly string[],
): Promise<string[]> {
  const { username, secret: password } = login
  const client = mqtt.connect('mqtt://127.0.0.1', {
    ...{ port, username, password, clientId, clean: filter !== undefined, resubscribe: false },
  })
  const left = new Set(wanted)
  const all = Promise.withResolvers<void>()
  client.on('error', () => undefined)
  let quiet: NodeJS.Timeout | undefined
  const waitOn = () => {
    clearTimeout(quiet)
    quiet = setTimeout(() => all.resolve(), PATIENCE.timeout / 4)
  }
  client.on('connect', ({ sessionPresent }) => {
    // Nothing waits in a session that is no more; retained messages come right behind the SUBACK, one after the other.
    if (filter === undefined && !sessionPresent) all.resolve()
    else if (filter !== undefined) client.subscribe(filter, { qos: 1 }, waitOn)
  })
  client.on('message', (topic, payload) => {
    if (filter !== undefined) waitOn()
    left.delete(payload.toString())
    left.delete(`${topic} ${payload.toString()}`)
    if (left.size === 0) all.resolve()
  })
  const timer = setTimeout(() => all.resolve(), PATIENCE.timeout)
  await all.promise
  clearTimeout(timer)
  clearTimeout(quiet)
  await client.endAsync(true)
  return [...left].map((message) => `message ${message}`)
}

/** What a login is refused with, if it is. */
export async function loginRefused(port: number, { username, secret: password }: Login): Promise<string[]> {
  try {
    const client = await mqtt.connectAsync('mqtt://127.0.0.1', { port, username, password, reconnectPeriod: 0 })
    await client.endAsync(true)
    return []
  } catch (error) {
    return [`login of ${username}: ${String(error)}`]
  }
}
