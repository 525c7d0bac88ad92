import { expect, it, vi } from 'vitest'
import { openEvents } from './event-reader.ts'
import { openReal } from './real-api.ts'
import { PATIENCE } from '../../patience.ts'

it('from a posted payload to latest, readings, aggregates, dead letters and the live view', async () => {
  const { token, call, url } = await openReal()
  for (const device of ['first', 'second']) await call('POST', '/v1/devices', { payload: { tenant: 'demo', device } })
  const live = await openEvents(`${url}/v1/stream?tenant=demo&device=first`, token)
  const payload = JSON.stringify([
    ...Array.from({ length: 100 }, (_, i) => ({ ts: 1_767_225_600_000 + i * 1000, t: i, ok: i % 2 === 0 })),
    { t: [[]] },
    { ['t'.repeat(1025)]: 1 },
  ])
  const posted = await call('POST', '/v1/devices/demo/first/readings', { payload })
  expect(posted.body).toMatchObject({ accepted: 100, rejected: [{ element: 100 }, { element: 101 }] })
  await call('POST', '/v1/devices/demo/second/readings?stream=power', { payload: '{"u":230}' })

  const letters = await vi.waitFor(async () => {
    const { body } = await call('GET', '/v1/dead-letters')
    expect(body['deadLetters']).toHaveLength(1)
    return body['deadLetters'] as Record<string, unknown>[]
  }, PATIENCE)
  expect(letters).toMatchObject([
    {
      kind: 'fault',
      replayable: true,
      payloadBytes: payload.length,
      faults: [
        { element: 100, path: 't', code: 'list_left_out' },
        { element: 101, path: `${'t'.repeat(64)}...`, code: 'field_name_invalid' },
      ],
    },
  ])

  const first = await call('GET', '/v1/devices/demo/first/readings?limit=150')
  const second = await call('GET', `/v1/devices/demo/first/readings?limit=150&cursor=${first.body['next'] as string}`)
  const points = [first, second].flatMap(({ body }) =>
    (body['series'] as { points: [number, unknown][] }[]).flatMap((one) => one.points),
  )
  expect(points).toHaveLength(200)
  const mean = await call('GET', '/v1/devices/demo/first/readings?field=t&interval=1m')
  expect(mean.body['series']).toEqual([
    {
      stream: 'telemetry',
      field: 't',
      type: 'float',
      points: [
        [1_767_225_600_000, 29.5],
        [1_767_225_660_000, 79.5],
      ],
    },
  ])
  expect((await call('GET', '/v1/devices/demo/first/readings?interval=1m')).body).toMatchObject({
    series: [{ field: 't' }],
    leftOut: [{ stream: 'telemetry', field: 'ok', type: 'boolean' }],
  })
  expect(await call('GET', '/v1/devices/demo/first/readings?interval=1m&field=ok')).toMatchObject({
    status: 400,
    body: { code: 'bad_request' },
  })

  const latest = await call('GET', '/v1/devices/demo/first/latest?epoch=rfc3339')
  expect(latest.body['streams']).toMatchObject([
    { stream: 'telemetry', fields: { t: { value: 99, time: '2026-01-01T00:01:39Z' } } },
  ])
  const shown = await call('GET', '/v1/devices/demo/second')
  expect(shown.body['streams']).toEqual([{ stream: 'power', fields: [{ field: 'u', type: 'float' }] }])

  const events = await live.until(({ data }) => JSON.stringify(data['values']) === '{"t":99,"ok":false}')
  expect(events.filter(({ event }) => event === 'reading')).toHaveLength(100)
})

it('devices and applications on the real registry', async () => {
  const { call } = await openReal()
  expect((await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: '..' } })).body['code']).toBe(
    'name_invalid',
  )
  const devices = Array.from({ length: 1000 }, (_, i) => ({ tenant: 'sim', device: `d${i}`, tags: { i: String(i) } }))
  expect((await call('POST', '/v1/devices/bulk', { payload: { devices } })).status).toBe(201)
  const again = {
    devices: [
      { tenant: 'sim', device: 'new' },
      { tenant: 'sim', device: 'd7' },
    ],
  }
  expect(await call('POST', '/v1/devices/bulk', { payload: again })).toMatchObject({ status: 409 })
  const names = new Set<string>()
  for (let next: unknown = undefined; next !== null;) {
    const { body } = await call(
      'GET',
      `/v1/devices?tenant=sim&limit=300${next === undefined ? '' : `&cursor=${encodeURIComponent(next as string)}`}`,
    )
    for (const { device } of body['devices'] as { device: string }[]) names.add(device)
    next = body['next']
  }
  expect(names.size).toBe(1000)
  expect(await call('GET', '/v1/devices?cursor=nonsense')).toMatchObject({
    status: 400,
    body: { code: 'cursor_invalid' },
  })
  expect((await call('DELETE', '/v1/devices/sim/d7')).status).toBe(204)
  expect((await call('GET', '/v1/devices/sim/D8')).status).toBe(404)
  const rules = [{ effect: 'allow', action: 'subscribe', topic: '#' }]
  expect((await call('POST', '/v1/applications', { payload: { name: 'board', rules } })).status).toBe(201)
  expect((await call('GET', '/v1/applications')).body['applications']).toMatchObject([{ name: 'board', rules }])
  expect((await call('POST', '/v1/applications', { payload: { name: 'a/b', rules } })).body['code']).toBe(
    'name_invalid',
  )
  expect((await call('DELETE', '/v1/applications/board')).status).toBe(204)
})

it('a sum that no double holds is said, in every answer that has sums, and costs its neighbours nothing', async () => {
  const { call } = await openReal()
  await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'far' } })
  const readings = [1, 2, 3].map((n) => ({ ts: 1_767_225_600_000 + n, up: 1.7e308, down: -1.7e308, near: n }))
  await call('POST', '/v1/devices/demo/far/readings', { payload: JSON.stringify(readings) })
  const sums = { up: 'Infinity', down: '-Infinity', near: 6 }
  const asked = async (url: string) => {
    const { status, body } = await call('GET', url)
    const series = (body['series'] ?? []) as { field: string; points: [number, unknown][] }[]
    return { status, values: Object.fromEntries(series.map(({ field, points }) => [field, points.at(-1)?.[1]])) }
  }
  for (const url of [
    '/v1/devices/demo/far/readings?aggregate=sum',
    '/v1/devices/demo/far/readings?aggregate=sum&interval=1h',
    '/v1/tenants/demo/readings?aggregate=sum&interval=1h&from=2025-12-31T00:00:00Z',
  ]) {
    await vi.waitFor(async () => expect(await asked(url), url).toEqual({ status: 200, values: sums }), PATIENCE)
  }
})
