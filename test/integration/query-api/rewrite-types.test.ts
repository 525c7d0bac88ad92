import { describe, expect, it, vi } from 'vitest'
import { PATIENCE } from '../../patience.ts'
import { openReal } from './real-api.ts'

type Real = Awaited<ReturnType<typeof openReal>>

const T = Date.now() - 3_600_000
const FIELD = { tenant: 'demo', field: 't*' }

async function send(real: Real, device: string, ...values: readonly unknown[]): Promise<void> {
  const payload = JSON.stringify(values.map((value, i) => ({ ts: T + i * 1000, 't*': value, tx: String(i) })))
  const { body } = await real.call('POST', `/v1/devices/demo/${device}/readings`, { payload })
  expect(body).toMatchObject({ accepted: values.length })
  await vi.waitFor(async () => {
    const lag = await real.log.lag('telemetry.raw', 'ingest-worker')
    expect(lag.map(({ records }) => records)).toEqual(lag.map(() => 0))
  }, PATIENCE)
}

async function openWith(...devices: string[]): Promise<Real> {
  const real = await openReal()
  for (const device of devices) await real.call('POST', '/v1/devices', { payload: { tenant: 'demo', device } })
  return real
}

async function rewrite(real: Real, payload: object): Promise<Record<string, unknown>> {
  const made = await real.call('POST', '/v1/types/rewrite', { payload: { ...FIELD, ...payload } })
  expect(made.status).toBe(202)
  return vi.waitFor(async () => {
    const job = (await real.call('GET', `/v1/jobs/${String(made.body['id'])}`)).body
    expect(job['endedAt']).toEqual(expect.any(String))
    return job
  }, PATIENCE)
}

/** Of every series of a device its type, and values by the second. */
async function stored(real: Real, device: string, field = 't*') {
  const { body } = await real.call('GET', `/v1/devices/demo/${device}/readings?field=${encodeURIComponent(field)}`)
  const series = body['series'] as { type: string; points: [number, unknown][] }[]
  return series.map(({ type, points }) => [type, points.map(([time, value]) => [(time - T) / 1000, value])])
}

describe('texts that are numbers', () => {
  it('get their numbers beside them in all devices, exactly, and once', async () => {
    const real = await openWith('a', 'b', 'c')
    const texts = ['21.5', '-0.5e-3', '9007199254740993', '7']
    await send(real, 'a', ...texts)
    await send(real, 'b', '1', 2, true)
    await send(real, 'c', 3)
    const seen = (await real.call('GET', '/v1/devices/demo/a/latest')).body['lastSeen']
    const dry = await rewrite(real, { type: 'float', dryRun: true })
    expect(dry).toMatchObject({ state: 'done', counts: { texts: 5, numbers: 5, others: 0 } })
    expect([await stored(real, 'b'), (await real.call('GET', '/v1/types')).body['types']]).toEqual([
      [
        ['string', [[0, '1']]],
        ['boolean', [[2, true]]],
        ['float', [[1, 2]]],
      ],
      [],
    ])
    expect(await rewrite(real, { type: 'float' })).toMatchObject({
      state: 'done',
      counts: { texts: 5, numbers: 5, stored: 5, unchanged: 0, superseded: 0 },
    })
    const floats = [21.5, -0.0005, 9_007_199_254_740_992, 7]
    expect(await stored(real, 'a')).toEqual([
      ['string', texts.map((text, i) => [i, text])],
      ['float', floats.map((value, i) => [i, value])],
    ])
    expect(await stored(real, 'b')).toContainEqual([
      'float',
      [
        [0, 1],
        [1, 2],
      ],
    ])
    expect(await stored(real, 'a', 'tx')).toMatchObject([['string', {}]])
    expect((await real.call('GET', '/v1/devices/demo/a/latest')).body['lastSeen']).toBe(seen)
    expect((await real.call('GET', '/v1/types')).body['types']).toMatchObject([{ ...FIELD, type: 'float' }])
    expect(await rewrite(real, { type: 'float' })).toMatchObject({ counts: { stored: 0, unchanged: 5 } })

    // Whole numbers become exact, also where the nearest double is.
    expect(await rewrite(real, { type: 'integer' })).toMatchObject({
      state: 'done',
      counts: { stored: 1, unchanged: 4 },
    })
    const exact = [21.5, -0.0005, '9007199254740993', 7]
    expect(await stored(real, 'a')).toContainEqual(['number', exact.map((value, i) => [i, value])])
    expect(await rewrite(real, { type: 'integer' })).toMatchObject({ counts: { stored: 0, unchanged: 5 } })
    expect((await real.call('GET', '/v1/dead-letters')).body['deadLetters']).toEqual([])
  })

  it('take the place of no number that is there', async () => {
    const real = await openWith('a')
    await send(real, 'a', '1', '2')
    await send(real, 'a', 5)
    expect(await rewrite(real, { type: 'integer' })).toMatchObject({ counts: { stored: 1, superseded: 1 } })
    expect(await stored(real, 'a')).toContainEqual([
      'number',
      [
        [0, 5],
        [1, 2],
      ],
    ])
  })

  it('are left as they are while one is no number, which the job names', async () => {
    const real = await openWith('a', 'b')
    await send(real, 'a', '1', '007')
    await send(real, 'b', 'unavailable', '2')
    const counts = { texts: 4, numbers: 2, others: 2 }
    const told = '2 of 4 texts are numbers. Those that are none: a at '
    const dry = await rewrite(real, { type: 'float', dryRun: true })
    expect(dry).toMatchObject({ state: 'done', counts, progress: expect.stringContaining(told) as string })
    const failed = await rewrite(real, { type: 'float' })
    expect(failed).toMatchObject({ state: 'failed', counts })
    expect(failed['progress']).toMatch(/^values_not_numbers: .*"007"; b at .*"unavailable"\. Nothing was changed\.$/)
    expect(await stored(real, 'a')).toEqual([
      [
        'string',
        [
          [0, '1'],
          [1, '007'],
        ],
      ],
    ])
    expect((await real.call('GET', '/v1/types')).body['types']).toEqual([])
    expect(await rewrite(real, { type: 'float', field: 'none' })).toMatchObject({ state: 'done', counts: { texts: 0 } })
  })

  it('that are asked for and stopped are half done, and whole when they are asked for again', async () => {
    const real = await openWith('a')
    await send(real, 'a', '1', '2')
    const { lag } = real.log
    const hanging = vi.spyOn(real.log, 'lag').mockImplementation(async (...asked) => {
      return (await lag.apply(real.log, asked)).map((one) => ({ ...one, committed: 0, records: 1_000 }))
    })
    const made = await real.call('POST', '/v1/types/rewrite', { payload: { ...FIELD, type: 'float' } })
    const path = `/v1/jobs/${String(made.body['id'])}`
    await vi.waitFor(async () => {
      expect((await real.call('GET', path)).body['progress']).toMatch(/^Waiting for the workers to pass \d+ records/)
    }, PATIENCE)
    await real.call('POST', `${path}/cancel`)
    await vi.waitFor(async () => expect((await real.call('GET', path)).body['state']).toBe('cancelled'), PATIENCE)
    hanging.mockRestore()
    expect(await rewrite(real, { type: 'float' })).toMatchObject({ state: 'done', counts: { texts: 2, superseded: 0 } })
    expect(await stored(real, 'a')).toContainEqual([
      'float',
      [
        [0, 1],
        [1, 2],
      ],
    ])
  })
})
