import { describe, expect, it, vi } from 'vitest'
import { rereadTimes } from '../../../services/query-api/jobs/reread-times.ts'
import { openCodecs } from '../../../shared/codecs/uploaded-codecs.ts'
import type { DeleteRange } from '../../../shared/points/port.ts'
import type { Job } from '../../../shared/registry/jobs-port.ts'
import { withMethods } from '../../../load-tests/reference/overriding.ts'
import { PATIENCE } from '../../patience.ts'
import { wallText } from '../../unit/shared/decoders/local-clocks.ts'
import { openReal } from './real-api.ts'
import { make, send, settled } from './traces.ts'

type Real = Awaited<ReturnType<typeof openReal>>

const ZONE = 'Europe/Berlin'
const MINUTE = 60_000
/** Three hours around the one that comes twice, a reading every four minutes. */
const MADE = Array.from({ length: 45 }, (_, i) => Date.parse('2025-10-25T23:30:00Z') + i * 4 * MINUTE)

async function pointsOf(real: Real, device: string): Promise<Record<string, [number, unknown][]>> {
  const path = `/v1/devices/demo/${device}/readings?from=2025-01-01T00:00:00Z&limit=10000`
  const { body } = await real.call('GET', path)
  const { series } = body as unknown as { series: { field: string; points: [number, unknown][] }[] }
  return Object.fromEntries(series.map(({ field, points }) => [field, points]))
}

async function reread(real: Real, stream?: string): Promise<Record<string, number>> {
  const payload = { tenant: 'demo', zone: ZONE, ...(stream === undefined ? {} : { stream }) }
  const { body, status } = await real.call('POST', '/v1/policies/reread', { payload })
  expect(status).toBe(202)
  const { id } = (body as unknown as { job: { id: number } }).job
  return vi.waitFor(async () => {
    const job = (await real.call('GET', `/v1/jobs/${id}`)).body as unknown as {
      state: string
      progress: string
      counts: Record<string, number>
    }
    expect(job.state, job.progress).toBe('done')
    return job.counts
  }, PATIENCE)
}

async function sendAll(real: Real): Promise<void> {
  await make(real, 'clock')
  for (const [v, at] of MADE.entries()) await send(real, 'clock', { Time: wallText(ZONE, at), v, note: `n${v}` })
  await send(real, 'clock', [
    { time: '2025-06-01 12:00:00', w: 1 },
    { ts: Date.parse('2025-06-01T09:00:00Z'), w: 2 },
    { time: '2025-06-01 13:00:00', w: 3 },
    { w: 4 },
  ])
  await settled(real)
}

describe('a zone that is declared later', () => {
  it('moves what is in the log to the right times, once, and a dry run only counts', async () => {
    const real = await openReal()
    await sendAll(real)
    const before = await pointsOf(real, 'clock')
    expect(before['v']?.every(([at]) => at > Date.parse('2026-01-01T00:00:00Z'))).toBe(true)
    const dry = await real.call('POST', '/v1/policies/reread', {
      payload: { tenant: 'demo', zone: ZONE, dryRun: true },
    })
    expect(dry.body).toMatchObject({ job: null, complete: true })
    const all = { records: MADE.length + 1, moved: MADE.length + 2, taken: 0, done: 0 }
    expect((dry.body as unknown as { counts: unknown }).counts).toEqual(all)
    expect(await pointsOf(real, 'clock')).toEqual(before)

    expect(await reread(real)).toEqual(all)
    const after = await pointsOf(real, 'clock')
    expect(after['v']).toEqual(MADE.map((at, v) => [at, v]))
    expect(after['note']).toEqual(MADE.map((at, v) => [at, `n${v}`]))
    // The text is kept where the key may only hold a time.
    expect(after['Time']).toEqual(MADE.map((at) => [at, wallText(ZONE, at)]))
    expect(after['time']).toBeUndefined()
    const [first, second, third, fourth, ...others] = after['w'] ?? []
    expect([first, second, third]).toEqual(
      ['09', '10', '11'].map((hour, i) => [Date.parse(`2025-06-01T${hour}:00:00Z`), [2, 1, 3][i]]),
    )
    expect(fourth?.[1]).toBe(4)
    expect(others).toEqual([])

    expect(await reread(real)).toMatchObject({ moved: 0, taken: 0, done: all.moved })
    expect(await pointsOf(real, 'clock')).toEqual(after)
  })

  it('is killed between any two steps, and begun anew: all is moved, and nothing twice', async () => {
    const real = await openReal()
    await sendAll(real)
    const uploaded = openCodecs(real.registry.decoders).uploaded
    for (const calls of [0, 3, 20, Infinity]) {
      let left = calls
      const points = withMethods(real.points, {
        delete: async (range: DeleteRange) => {
          if ((left -= 1) < 0) throw new Error('killed')
          await real.points.delete(range)
        },
      })
      const job = { spec: { tenant: 'demo', zone: ZONE } } as Job
      const run = { job, signal: new AbortController().signal, save: async () => {} }
      const done = rereadTimes({ log: real.log, points, registry: real.registry, uploaded }).run(run)
      if (calls === Infinity) expect((await done).counts).toMatchObject({ taken: 0 })
      else await expect(done).rejects.toThrow('killed')
    }
    const after = await pointsOf(real, 'clock')
    expect(after['v']).toEqual(MADE.map((at, v) => [at, v]))
    expect(after['Time']).toEqual(MADE.map((at) => [at, wallText(ZONE, at)]))
    expect(after['w']).toHaveLength(4)
  })

  it('is of one device where its zone is said', async () => {
    const real = await openReal()
    for (const device of ['clock', 'other']) {
      await make(real, device)
      await send(real, device, { time: '2025-06-01 12:00:00', v: 1 })
    }
    await settled(real)
    const document = { device_zones: ['clock=Asia/Tokyo'] }
    await real.call('PUT', '/v1/policies?tenant=demo', { payload: { revision: 0, document } })
    const { body } = await real.call('POST', '/v1/policies/reread', { payload: { tenant: 'demo', dryRun: true } })
    expect(body).toMatchObject({ counts: { records: 2, moved: 1 } })
    await send(real, 'clock', { time: '2025-06-01 12:00:01', v: 2 })
    await settled(real)
    expect((await pointsOf(real, 'clock'))['v']?.[0]).toEqual([Date.parse('2025-06-01T03:00:01Z'), 2])
  })

  it('leaves what is in the place of a reading, and the reading where it is', async () => {
    const real = await openReal()
    await make(real, 'clock')
    await send(real, 'clock', { time: '2025-06-01 12:00:00', v: 1 })
    await send(real, 'clock', { time: '2025-06-01T10:00:00Z', v: 2 })
    await settled(real)
    const before = await pointsOf(real, 'clock')
    expect(await reread(real)).toMatchObject({ moved: 0, taken: 1 })
    expect(await pointsOf(real, 'clock')).toEqual(before)
  })

  it('is of one stream where one is named, and a name that is none is refused', async () => {
    const real = await openReal()
    await make(real, 'clock')
    await send(real, 'clock', { time: '2025-06-01 12:00:00', v: 1 })
    await settled(real)
    expect(await reread(real, 'other')).toMatchObject({ records: 1, moved: 0 })
    expect(await reread(real, 'telemetry')).toMatchObject({ moved: 1 })
    const { status } = await real.call('POST', '/v1/policies/reread', { payload: { tenant: 'demo', zone: 'Mars/X' } })
    expect(status).toBe(400)
  })
})
