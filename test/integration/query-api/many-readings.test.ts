import { expect, it, vi } from 'vitest'
import { PATIENCE } from '../../patience.ts'
import { openReal } from './real-api.ts'

const START = 1_767_225_600_000
const URL = '/v1/tenants/demo/readings'

interface Series {
  readonly device: string
  readonly stream: string
  readonly field: string
  readonly points: readonly (readonly [number, unknown])[]
}

type Call = Awaited<ReturnType<typeof openReal>>['call']

async function filled(): Promise<Call> {
  const { call } = await openReal()
  for (const device of ['first', 'second', 'a,b ü']) {
    await call('POST', '/v1/devices', { payload: { tenant: 'demo', device } })
    const path = `/v1/devices/demo/${encodeURIComponent(device)}/readings`
    const readings = Array.from({ length: 30 }, (_, i) => ({ ts: START + i * 1000, t: i, state: `s${i % 3}` }))
    await call('POST', path, { payload: JSON.stringify(readings) })
    await call('POST', `${path}?stream=power`, { payload: JSON.stringify({ ts: START, u: 230 }) })
  }
  await vi.waitFor(async () => expect(await total(call)).toBe(183), PATIENCE)
  return call
}

async function total(call: Call): Promise<number> {
  const { body } = await call('GET', URL)
  return (body['series'] as Series[]).reduce((sum, { points }) => sum + points.length, 0)
}

/** Series of all pages, `device stream field` and how many points. */
async function pages(call: Call, query: string): Promise<[string, number][]> {
  const counts = new Map<string, number>()
  for (let cursor = ''; ;) {
    const { status, body } = await call('GET', `${URL}?${query}${cursor}`)
    expect(status).toBe(200)
    for (const { device, stream, field, points } of body['series'] as Series[]) {
      const key = `${device} ${stream} ${field}`
      counts.set(key, (counts.get(key) ?? 0) + points.length)
    }
    expect(body['complete']).toBe(body['next'] === null)
    expect(body['endedBy'] === 'all').toBe(body['complete'])
    if (body['next'] === null) return [...counts]
    cursor = `&cursor=${body['next'] as string}`
  }
}

it('answers many devices, streams and fields at once, page by page', async () => {
  const call = await filled()
  const all = (device: string) => [
    [`${device} power u`, 1],
    [`${device} telemetry state`, 30],
    [`${device} telemetry t`, 30],
  ]
  expect(await pages(call, 'limit=7')).toEqual(['a,b ü', 'first', 'second'].flatMap(all))
  const some = `devices=${encodeURIComponent('a,b ü')}&devices=second`
  expect(await pages(call, some)).toEqual(['a,b ü', 'second'].flatMap(all))
  expect(await pages(call, 'devices=first&streams=pow*&fields=%3F')).toEqual([['first power u', 1]])
  expect(await pages(call, 'fields=t&fields=u&kinds=text')).toEqual([])
  expect(await pages(call, `fields=t&from=${START + 10_000}&to=${START + 12_000}`)).toHaveLength(3)
})

it('makes windows, and names what has no such aggregate', async () => {
  const call = await filled()
  const { body } = await call('GET', `${URL}?devices=first&interval=20s&streams=telemetry`)
  expect(body).toMatchObject({
    series: [
      {
        device: 'first',
        field: 't',
        type: 'float',
        points: [
          [START, 9.5],
          [START + 20_000, 24.5],
        ],
      },
    ],
    leftOut: [{ device: 'first', stream: 'telemetry', field: 'state', type: 'string' }],
    complete: true,
    endedBy: 'all',
  })
  const last = await call('GET', `${URL}?devices=first&interval=20s&aggregate=last&fields=state&epoch=rfc3339`)
  expect((last.body['series'] as Series[])[0]?.points).toEqual([
    ['2026-01-01T00:00:00Z', 's1'],
    ['2026-01-01T00:00:20Z', 's2'],
  ])
  const count = await call('GET', `${URL}?devices=first&interval=1h&aggregate=count&fields=t`)
  expect(count.body['series']).toMatchObject([{ type: 'integer', points: [[START, 30]] }])
})

it('knows devices by their names, and none that are gone', async () => {
  const call = await filled()
  await call('DELETE', '/v1/devices/demo/first')
  expect((await pages(call, 'fields=t')).map(([key]) => key)).toEqual(['a,b ü telemetry t', 'second telemetry t'])
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  expect((await pages(call, 'fields=t')).map(([key]) => key)).toEqual(['a,b ü telemetry t', 'second telemetry t'])
  expect(await pages(call, 'devices=first')).toEqual([])
  await call('POST', '/v1/devices/demo/first/readings', { payload: `{"ts":${START},"t":1}` })
  await vi.waitFor(async () => expect(await pages(call, 'devices=first')).toEqual([['first telemetry t', 1]]), PATIENCE)
  expect(await pages(call, 'fields=t')).toContainEqual(['first telemetry t', 1])
})

it('has a long series in one piece, with each of its points', async () => {
  const { call } = await openReal()
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  for (let start = 0; start < 40_000; start += 1000) {
    const payload = JSON.stringify(Array.from({ length: 1000 }, (_, i) => ({ ts: START + start + i, t: start + i })))
    expect((await call('POST', '/v1/devices/demo/first/readings', { payload })).status).toBe(202)
  }
  const series = await vi.waitFor(async () => {
    const { body } = await call('GET', `${URL}?limit=100000`)
    const found = body['series'] as Series[]
    expect(found[0]?.points).toHaveLength(40_000)
    return found
  }, PATIENCE)
  expect(series).toHaveLength(1)
  expect(series[0]?.points.filter(([time, value], i) => time !== START + i || value !== i)).toEqual([])
})

it.for([
  ['devices=nobody', 404, 'not_found'],
  ['devices=first&devices=First', 404, 'not_found'],
  ['aggregate=max', 400, 'bad_request'],
  ['from=2&to=1', 400, 'bad_request'],
  ['limit=100001', 400, 'bad_request'],
  ['kinds=word', 400, 'bad_request'],
  ['cursor=x', 400, 'cursor_invalid'],
  ['device=first', 400, 'bad_request'],
  [Array.from({ length: 101 }, () => 'fields=a').join('&'), 400, 'bad_request'],
] as const)('%s answers %i %s', async ([query, status, code]) => {
  const { call } = await openReal()
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  expect(await call('GET', `${URL}?${query}`)).toMatchObject({ status, body: { code } })
})

it('has a mean where no number can hold the sum', async () => {
  const { call } = await openReal()
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  const payload = `[{"ts":${START},"v":1.5e308},{"ts":${START + 1},"v":1.7e308}]`
  await call('POST', '/v1/devices/demo/first/readings', { payload })
  await vi.waitFor(async () => {
    const { body } = await call('GET', `${URL}?interval=1h`)
    expect((body['series'] as Series[]).map(({ points }) => points)).toEqual([[[START, 1.6e308]]])
  }, PATIENCE)
})
