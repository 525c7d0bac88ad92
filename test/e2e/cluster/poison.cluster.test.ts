import { connectAsync, type MqttClient } from 'mqtt'
import { expect, it, onTestFailed, onTestFinished, vi } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { randomFrom } from '../kill-in-mid-load.ts'
import { LIMIT_MS, useServers } from './harness.ts'
import { BIN_STREAM, KINDS, poisonedMessages, type Poisoned } from './poison.ts'

const deployment = useServers()
const DEVICES = Array.from({ length: 20 }, (_unused, n) => `d${n}`)
const MESSAGES = 10_000
const IN_FLIGHT = 100
const TRACED = 100
const WAIT = { timeout: 120_000, interval: 500 }

interface Letter {
  readonly device: string | null
  readonly kind: string
  readonly faults: readonly { readonly code: string }[]
}

interface Job {
  readonly id: number
  readonly endedAt: string | null
  readonly counts: Readonly<Record<string, number>>
}

interface Traced {
  readonly payload?: string
  readonly payloadBase64?: string
  readonly points: readonly { readonly field: string; readonly end: string }[]
  readonly faults: readonly { readonly code: string }[]
}

type Points = Record<string, Record<string, unknown>>

/** What has to be in the store, by device, by stream, field and time. */
function expectedPoints(messages: readonly Poisoned[], isMended = false): Record<string, Points> {
  const all: Record<string, Points> = Object.fromEntries(DEVICES.map((device) => [device, {}]))
  for (const { device, topic, stored, mended = {}, ms } of messages) {
    for (const [field, value] of Object.entries({ ...stored, ...(isMended ? mended : {}) })) {
      const key = `${topic.endsWith(BIN_STREAM) ? BIN_STREAM : 'telemetry'} ${field}`
      ;((all[device] ??= {})[key] ??= {})[ms] = value
    }
  }
  return all
}

class Asker {
  readonly api: ApiClient
  readonly tenant: string

  constructor(api: ApiClient, tenant: string) {
    this.api = api
    this.tenant = tenant
  }

  async stored(): Promise<Record<string, Points>> {
    const all: Record<string, Points> = {}
    for (const device of DEVICES) {
      const points: Points = (all[device] = {})
      for (const stream of ['telemetry', BIN_STREAM]) {
        const path = `/v1/devices/${this.tenant}/${device}/readings`
        const query = { stream, limit: 10_000, epoch: 'ms' }
        const { series, next } = await this.api.get<{
          series: { field: string; points: [number, unknown][] }[]
          next: string | null
        }>(path, query)
        expect(next).toBeNull()
        for (const one of series) points[`${stream} ${one.field}`] = Object.fromEntries(one.points)
      }
    }
    return all
  }

  /** All of them. */
  async letters(): Promise<Letter[]> {
    const found: Letter[] = []
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page: { deadLetters: Letter[]; next: string | null } = await this.api.get('/v1/dead-letters', {
        ...{ tenant: this.tenant, limit: 1000, ...(cursor === undefined ? {} : { cursor }) },
      })
      found.push(...page.deadLetters)
      cursor = page.next
    }
    return found
  }

  async replay(): Promise<Job> {
    const { job } = await this.api.post<{ job: Job }>('/v1/dead-letters/replay', { tenant: this.tenant })
    return vi.waitFor(async () => {
      const now = await this.api.get<Job>(`/v1/jobs/${job.id}`)
      expect(now.endedAt).not.toBeNull()
      return now
    }, WAIT)
  }

  /** Every message of the device that came into the log, by its payload. */
  async traced(device: string): Promise<Map<string, Traced>> {
    const found = new Map<string, Traced>()
    for (let after: number | undefined, isEnd = false; !isEnd;) {
      const answer: { messages: Traced[]; position: number; isEnd: boolean } = await this.api.get(
        `/v1/devices/${this.tenant}/${device}/trace`,
        { limit: 1000, from: 0, ...(after === undefined ? {} : { after }) },
      )
      for (const one of answer.messages) found.set(payloadOf(one), one)
      after = answer.position
      isEnd = answer.isEnd
    }
    return found
  }
}

/** As far as a trace shows it. */
const SHOWN = 1024
const payloadOf = ({ payload, payloadBase64 = '' }: Traced): string =>
  (payload === undefined ? Buffer.from(payloadBase64, 'base64') : Buffer.from(payload)).subarray(0, SHOWN).toString('latin1') // prettier-ignore

it(
  '10,000 messages, of which 3 % are wrong in twelve ways: each field is stored, a fault or refused, and a trace tells it',
  { timeout: LIMIT_MS },
  async () => {
    onTestFailed(() => deployment.discard())
    const cluster = await deployment.clusterFor('poison', { workers: 2, brokers: 1, apis: 1 })
    const tenant = `p${Date.now().toString(36)}`
    const api = new ApiClient({ url: cluster.url, token: cluster.token })
    const asker = new Asker(api, tenant)
    const clients = new Map<string, MqttClient>()
    for (const device of DEVICES) {
      const { username, secret } = await api.post<{ username: string; secret: string }>('/v1/devices', { tenant, device })
      clients.set(device, await connectAsync({ port: cluster.broker.ready.mqtt?.port ?? 0, username, password: secret }))
    } // prettier-ignore
    onTestFinished(async () => void (await Promise.all([...clients.values()].map((client) => client.endAsync(true)))))
    const send = async (device: string, topic: string, payload: Buffer) => {
      await clients.get(device)?.publishAsync(topic, payload, { qos: 1 })
    }
    const startMs = Date.now() - 3_600_000
    const messages = poisonedMessages({ tenant, devices: DEVICES, count: MESSAGES, startMs, seed: 1 })
    const refusedBefore = await cluster.broker.metric('sluice_broker_publishes_refused_total')
    for (let from = 0; from < messages.length; from += IN_FLIGHT) {
      await Promise.all(
        messages.slice(from, from + IN_FLIGHT).map(({ device, topic, payload }) => send(device, topic, payload)),
      )
    }
    await vi.waitFor(async () => expect(await asker.stored()).toEqual(expectedPoints(messages)), WAIT)
    const refused = messages.filter((one) => one.refused !== undefined)
    expect((await cluster.broker.metric('sluice_broker_publishes_refused_total')) - refusedBefore).toBe(refused.length)
    const countsOf = (lists: readonly (readonly string[])[]) => {
      const counts: Record<string, number> = {}
      for (const code of lists.flat()) counts[code] = (counts[code] ?? 0) + 1
      return counts
    }
    const faulty = messages.map(({ faults }) => faults)
    const letters = async () =>
      (await asker.letters()).filter(({ kind }) => kind === 'fault').map(({ faults }) => faults.map(({ code }) => code))
    await vi.waitFor(async () => expect(countsOf(await letters())).toEqual(countsOf(faulty)), WAIT)

    const random = randomFrom(2)
    const inLog = messages.filter((one) => one.refused === undefined)
    const wrong = inLog.filter(({ faults }) => faults.length > 0)
    const chosen = Array.from({ length: TRACED }, (_unused, i) => {
      const of = i % 2 === 0 ? wrong : inLog
      return of[Math.floor(random() * of.length)]
    })
    const traces = new Map<string, Map<string, Traced>>()
    for (const one of chosen) {
      if (one === undefined) continue
      const { device, payload, stored, faults } = one
      const trace = traces.get(device) ?? (await asker.traced(device))
      traces.set(device, trace)
      const told = trace.get(payload.subarray(0, SHOWN).toString('latin1'))
      const ends = Object.fromEntries((told?.points ?? []).map(({ field, end }) => [field, end]))
      expect(ends, payload.toString('latin1')).toEqual(Object.fromEntries(Object.keys(stored).map((field) => [field, 'stored']))) // prettier-ignore
      expect(told?.faults.map(({ code }) => code)).toEqual(faults)
    }

    const document = { time_future: 'accept', streams: { [BIN_STREAM]: { decoder: 'cbor' } } }
    await api.put(`/v1/policies?tenant=${tenant}`, { revision: 0, document })
    const late = messages.filter(({ faults }) => faults.includes('time_ahead'))
    const [corrected] = late
    if (corrected === undefined) throw new Error('no message is ahead of its time')
    const correction = { [corrected.ms]: -1 }
    await vi.waitFor(async () => {
      await send(corrected.device, corrected.topic, Buffer.from(JSON.stringify({ ts: corrected.ms, a: -1 })))
      expect((await asker.stored())[corrected.device]?.['telemetry a']).toMatchObject(correction)
    }, WAIT)
    const mended = expectedPoints(messages, true)
    Object.assign(mended[corrected.device]?.['telemetry a'] ?? {}, correction)
    const first = await asker.replay()
    await vi.waitFor(async () => expect(await asker.stored()).toEqual(mended), WAIT)
    const second = await asker.replay()
    expect(second.counts['stored'] ?? 0).toBe(0)
    expect(await asker.stored()).toEqual(mended)
    const count = (of: readonly Poisoned[], what: (one: Poisoned) => number) =>
      of.reduce((sum, one) => sum + what(one), 0)
    process.stdout.write(
      `${messages.length} messages, ${Object.keys(KINDS).length} kinds of poison: ` +
        `${count(messages, ({ stored }) => Object.keys(stored).length)} fields stored, ${count(messages, ({ faults }) => faults.length)} faults, ` +
        `${refused.length} messages refused; replay ${JSON.stringify(first.counts)}, again ${JSON.stringify(second.counts)}\n`,
    )
  },
)
