import { expect, vi } from 'vitest'
import { headersOf } from '../../../shared/record.ts'
import { PATIENCE } from '../../patience.ts'
import type { Answer } from './api.ts'
import { openReal } from './real-api.ts'

export type Real = Awaited<ReturnType<typeof openReal>>

export const NOW = Date.now()
/** Two days ahead: such times are letters until a policy says otherwise. */
export const AHEAD = NOW + 2 * 86_400_000
export const iso = (ms: number) => new Date(ms).toISOString()

export async function open(...options: Parameters<typeof openReal>): Promise<Real> {
  const real = await openReal(...options)
  await real.call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'a' } })
  return real
}

const NAMES = { tenant: 'demo', device: 'a', stream: 'telemetry' }
let ns = 0

/** As the broker does: a POST refuses what would be no more than a letter. */
export async function send({ log, registry }: Real, payload: unknown): Promise<void> {
  const value = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload))
  const headers = headersOf(NAMES, 'a', 't/demo/a/telemetry', registry.policies)
  ns += 256
  await log.append('telemetry.raw', [{ key: 'demo/a', value, ms: NOW, ns, scheme: 1, headers }])
}

export async function settled({ log }: Real): Promise<void> {
  await vi.waitFor(async () => {
    const lag = await log.lag('telemetry.raw', 'ingest-worker')
    expect(lag.map(({ records }) => records)).toEqual(lag.map(() => 0))
  }, PATIENCE)
}

/** By field, in time order: time, as far from {@link AHEAD}, and value. */
export async function stored(real: Real, device = 'a'): Promise<Record<string, unknown>> {
  const { body } = await real.call('GET', `/v1/devices/demo/${device}/readings?epoch=ms`)
  const series = body['series'] as { field: string; points: [number, unknown][] }[]
  return Object.fromEntries(series.map(({ field, points }) => [field, points.map(([ms, v]) => [ms - AHEAD, v])]))
}

export async function setPolicy(real: Real, document: object): Promise<void> {
  const { body } = await real.call('GET', '/v1/policies?tenant=demo')
  const answer = await real.call('PUT', '/v1/policies?tenant=demo', {
    payload: { revision: body['revision'], document },
  })
  expect(answer.status).toBe(200)
}

export const accept = (real: Real) => setPolicy(real, { time_future: 'accept' })

export async function begin(real: Real, what: string, payload: object = {}): Promise<Answer> {
  const made = await real.call('POST', `/v1/dead-letters/${what}`, { payload })
  expect(made.status).toBe(202)
  return made
}

export async function ended(real: Real, { body }: Answer): Promise<Record<string, unknown>> {
  const { id } = body['job'] as { id: number }
  return vi.waitFor(async () => {
    const found = (await real.call('GET', `/v1/jobs/${id}`)).body
    expect(found['endedAt']).toEqual(expect.any(String))
    return found
  }, PATIENCE)
}

/** The counts of a job that came to its end. */
export async function job(real: Real, what: string, payload: object = {}): Promise<unknown> {
  const { state, counts, progress } = await ended(real, await begin(real, what, payload))
  expect([state, progress]).toEqual(['done', expect.any(String)])
  return counts
}

export const NO_POINTS = { stored: 0, unchanged: 0, superseded: 0, deleted: 0, faulty: 0 }

/** A letter of two readings of which the second is good. */
export async function sendBoth(real: Real): Promise<void> {
  await send(real, [
    { ts: AHEAD, v: 1, word: 'x' },
    { ts: AHEAD - 2 * 86_400_000, v: 2 },
  ])
  await settled(real)
}
