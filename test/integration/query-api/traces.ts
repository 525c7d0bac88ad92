import { expect, vi } from 'vitest'
import { PATIENCE } from '../../patience.ts'
import type { openReal } from './real-api.ts'

type Real = Awaited<ReturnType<typeof openReal>>

interface Point {
  readonly field: string
  readonly value: unknown
  readonly end: string
  readonly inPlace?: unknown
  readonly storedAt?: string
}

interface Message {
  readonly offset: number
  readonly payload: string
  readonly ends: Record<string, number>
  readonly points: readonly Point[]
  readonly faults: readonly { element: number | null; path: string | null; code: string }[]
  readonly letter: string | null
}

interface Answer {
  readonly messages: readonly Message[]
  readonly refusals: readonly { code: string; topic: string | null }[]
  readonly partition: number
  readonly position: number
  readonly isEnd: boolean
}

export const SECOND = Math.floor(Date.now() / 1000) * 1000 - 3_600_000

export async function trace(real: Real, device: string, query = ''): Promise<Answer> {
  const { body } = await real.call('GET', `/v1/devices/demo/${device}/trace?${query}`)
  return body as unknown as Answer
}

/** All of it, in answers of so many messages. */
export async function traceAll(real: Real, device: string, limit: number): Promise<Message[]> {
  const found: Message[] = []
  for (let after = ''; ;) {
    const { messages, partition, position, isEnd } = await trace(real, device, `limit=${limit}${after}`)
    expect(messages.length).toBeLessThanOrEqual(limit)
    found.push(...messages)
    if (isEnd) return found
    after = `&after=${position}&partition=${partition}`
  }
}

export async function make(real: Real, device: string): Promise<void> {
  await real.call('POST', '/v1/devices', { payload: { tenant: 'demo', device } })
}

export async function send(real: Real, device: string, payload: unknown): Promise<void> {
  await real.call('POST', `/v1/devices/demo/${device}/readings`, { payload: JSON.stringify(payload) })
}

export async function settled({ log }: Real): Promise<void> {
  await vi.waitFor(async () => {
    const lag = await log.lag('telemetry.raw', 'ingest-worker')
    expect(lag.map(({ records }) => records)).toEqual(lag.map(() => 0))
  }, PATIENCE)
}

/** As if a broker had taken it: HTTP refuses at once what has nothing good in it. */
export async function publish(real: Real, device: string, payloads: readonly object[]): Promise<void> {
  const records = payloads.map((payload, ns) => {
    const value = Buffer.from(JSON.stringify(payload))
    return { key: `demo/${device}`, value, ms: Date.now(), ns, scheme: undefined, headers: undefined }
  })
  await real.log.append('telemetry.raw', records)
}
