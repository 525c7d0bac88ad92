import { connectAsync, type MqttClient } from 'mqtt'
import { ApiClient } from '../../../shared/api-client.ts'
import { toSluiceError } from '../../../shared/errors.ts'
import type { FleetDevice } from '../../../services/simulator/fleet.ts'
import type { Load } from './behind-haproxy.ts'

/** A server hangs until everything was asked so often; all that is asked at once is waited for so long. */
const LOOKS = 4
const ANSWER_MS = 3_000

/** Who is asked: a connection that is open, a login that the nodes know, the API, and each broker's readiness. */
const ASKED = ['publish', 'connect', 'devices', 'latest', 'readings', 'ready'] as const
type Asked = (typeof ASKED)[number]

export interface WhileHung {
  /** How often it came to what: `answered`, `late`, or the code of an error. */
  readonly outcomes: Record<Asked, Record<string, number>>
  /** The longest that an answer took, in ms. */
  readonly slowestMs: Record<Asked, number>
  /** Brokers that HAProxy gave connections to, at least. */
  usable: number
}

/** What the deployment answers while something hangs; `open` is a client of the device. */
export async function askWhileHung(load: Load, device: FleetDevice, open: MqttClient): Promise<WhileHung> {
  const each = <T>(value: () => T) => Object.fromEntries(ASKED.map((name) => [name, value()])) as Record<Asked, T>
  const hung = { outcomes: each(() => ({})), slowestMs: each(() => 0), usable: load.cluster.brokers.length }
  const questions = questionsTo(load, device, open)
  for (let look = 0; look < LOOKS; look += 1) {
    await Promise.all(ASKED.map((name) => ask(hung, name, questions[name])))
    hung.usable = Math.min(hung.usable, (await load.haproxy.usable()).filter(Boolean).length)
  }
  return hung
}

function questionsTo(load: Load, device: FleetDevice, open: MqttClient): Record<Asked, () => Promise<unknown>> {
  const api = new ApiClient({ url: load.cluster.url, token: load.cluster.token })
  const { username, secret: password = '' } = device
  return {
    publish: () => open.publishAsync(`t/${username}/telemetry`, '{"v":1}', { qos: 1 }),
    async connect() {
      const options = { username, password, reconnectPeriod: 0, connectTimeout: ANSWER_MS }
      const client = await connectAsync(`mqtt://127.0.0.1:${load.haproxy.mqtt}`, options, false)
      await client.endAsync(true)
    },
    devices: () => api.get('/v1/devices?limit=1'),
    latest: () => api.get(`/v1/devices/${username}/latest`),
    readings: () => api.get(`/v1/devices/${username}/readings?limit=1`),
    async ready() {
      const ready = await Promise.all(load.cluster.brokers.map((broker) => broker.readiness()))
      if (ready.some((one) => !one.ready)) throw new Error('a broker takes no work')
    },
  }
}

async function ask(hung: WhileHung, name: Asked, question: () => Promise<unknown>): Promise<void> {
  const began = performance.now()
  const late = Promise.withResolvers<string>()
  const timer = setTimeout(() => late.resolve('late'), ANSWER_MS)
  const answer = question().then(
    () => 'answered',
    (error: unknown) => toSluiceError(error).code,
  )
  const outcome = await Promise.race([answer, late.promise])
  clearTimeout(timer)
  const { [name]: counts } = hung.outcomes
  counts[outcome] = (counts[outcome] ?? 0) + 1
  if (outcome !== 'late') hung.slowestMs[name] = Math.max(hung.slowestMs[name], Math.round(performance.now() - began))
}
