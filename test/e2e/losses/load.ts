import { setTimeout as delay } from 'node:timers/promises'
import mqtt, { type MqttClient } from 'mqtt'
import { ApiClient } from '../../../shared/api-client.ts'
import type { Server } from '../server.ts'
import { FIRST_MS, SLEEPER, STREAMS, TENANT, type Acknowledged, type Ledger } from './ledger.ts'
import type { Login } from './subscriber.ts'

export interface LoadPlan {
  readonly rounds: number
  /** Rounds before these: their devices and readings have other names and numbers. */
  readonly before?: number
  /** Bytes of text beside the number of a reading. */
  readonly padBytes?: number
  /** Retained messages, messages for a session that is away, and commands, too. */
  readonly hasSessions: boolean
}

/** Readings with a time in one round, and without one. */
const TIMED = 5
const UNTIMED = 2
/** Whatever is not answered within it is not acknowledged. */
const ANSWER_MS = 15_000

/**
 * Everything that a server acknowledges, round by round, one after the other, written into the ledger. A server that
 * ends and is started again at the same ports is waited for.
 */
export async function drive(
  server: Pick<Server, 'url' | 'token' | 'mqttPort'>,
  ledger: Ledger,
  plan: LoadPlan,
): Promise<void> {
  const api = new ApiClient(server)
  const { before = 0 } = plan
  let devices = 0
  const makeDevice = async (): Promise<{ device: string } & Login> => {
    for (;;) {
      const device = `d${before}-${devices++}`
      const login = await acknowledgedAs(
        ledger,
        { what: 'device', device },
        api.post<Login>('/v1/devices', { tenant: TENANT, device }),
      )
      if (login === undefined) await delay(50)
      else {
        ledger.acknowledged({ what: 'login', login })
        return { device, ...login }
      }
    }
  }
  const [sender, sleeper] = [await makeDevice(), await makeDevice()]
  const reader = await makeApplication(api, ledger, before)
  const client = await connected(server, sender, 'sender', true)
  if (plan.hasSessions) {
    const away = await connected(server, sleeper, SLEEPER, false)
    const subscribe = (): Promise<unknown> => away.subscribeAsync(`t/${TENANT}/${sleeper.device}/cmd/#`, { qos: 1 })
    while ((await ledger.answered(subscribe())) === undefined) await delay(50)
    await away.endAsync()
  }
  const publish = (entry: Acknowledged, topic: string, payload: string, retain = false): Promise<unknown> => {
    return acknowledgedAs(ledger, entry, client.publishAsync(topic, payload, { qos: 1, retain }))
  }
  const path = `t/${TENANT}/${sender.device}`
  const pad = 'x'.repeat(plan.padBytes ?? 10)
  let n = before * (TIMED + UNTIMED)
  for (let round = before; round < before + plan.rounds; round++) {
    const readings = Array.from({ length: TIMED + UNTIMED }, (_, i) => {
      const stamp = i < TIMED ? `"time":${FIRST_MS + n},` : ''
      const topic = i < TIMED ? `${path}/telemetry` : `${path}/telemetry/${STREAMS.untimed}`
      const what = i < TIMED ? 'timed' : 'untimed'
      const entry = { what, device: sender.device, n } as const
      return publish(entry, topic, `{${stamp}"n":${n},"pad":"${pad}${n++}"}`)
    })
    await Promise.all(readings)
    await makeDevice()
    if (!plan.hasSessions) continue
    const status = `${path}/status/${round}`
    await publish(
      { what: 'retained', topic: status, payload: `status ${round}`, reader },
      status,
      `status ${round}`,
      true,
    )
    const command = { name: 'go', payload: `command ${round}` }
    const commands = `/v1/devices/${TENANT}/${sleeper.device}/commands`
    const answer = api
      .post<{ result: string }>(commands, command)
      .then(({ result }) => result === 'queued' || undefined)
    await acknowledgedAs(ledger, { what: 'queued', payload: command.payload, sleeper }, answer)
  }
  await client.endAsync(true)
}

/** The answer, when one comes; what was refused, or met a server that went, was not acknowledged. */
async function acknowledgedAs<T>(ledger: Ledger, entry: Acknowledged, answer: Promise<T>): Promise<T | undefined> {
  const result = await ledger.answered(Promise.race([answer, late()]))
  if (result !== undefined) ledger.acknowledged(entry)
  return result
}

function late(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ANSWER_MS, undefined).unref())
}

async function makeApplication(api: ApiClient, ledger: Ledger, before: number): Promise<Login> {
  const rules = [{ effect: 'allow', action: 'subscribe', topic: `t/${TENANT}/#` }]
  for (let i = 0; ; i++) {
    const name = `reader-${before}-${i}`
    const made = await ledger.answered(api.post<{ secret: string }>('/v1/applications', { name, rules }))
    if (made !== undefined) return { username: name, secret: made.secret }
    await delay(50)
  }
}

/** Comes back by itself, and sends again what was not acknowledged. */
async function connected(
  { mqttPort }: Pick<Server, 'mqttPort'>,
  login: Login,
  clientId: string,
  clean: boolean,
): Promise<MqttClient> {
  const client = mqtt.connect('mqtt://127.0.0.1', {
    ...{ port: mqttPort, username: login.username, password: login.secret, clientId, clean },
    ...{ reconnectPeriod: 100, reconnectOnConnackError: true },
  })
  client.on('error', () => undefined)
  await new Promise<void>((resolve) => client.once('connect', () => resolve()))
  return client
}
