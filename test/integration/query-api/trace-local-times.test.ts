import { expect, it } from 'vitest'
import { openReal } from './real-api.ts'
import { make, send, settled, traceAll } from './traces.ts'

it('shows under which of two hours a local time is stored, where the message alone would say the other', async () => {
  const real = await openReal()
  await make(real, 'clock')
  await real.call('PUT', '/v1/policies?tenant=demo', {
    payload: { document: { time_zone: 'Europe/Berlin' }, revision: 0 },
  })
  const sent = ['01:50', '02:00', '02:40', '02:20', '02:50', '03:10']
  for (const [v, time] of sent.entries()) await send(real, 'clock', { time: `2025-10-26T${time}:00`, v })
  await settled(real)

  const points = (await traceAll(real, 'clock', 100)).flatMap((message) => message.points)
  const day = (time: string) => `2025-10-${time}:00Z`
  expect(points.map(({ end, value, storedAt }) => [value, end, storedAt])).toEqual([
    [0, 'stored', undefined],
    [1, 'stored', day('26T00:00')],
    [2, 'stored', day('26T00:40')],
    [3, 'stored', undefined],
    [4, 'stored', undefined],
    [5, 'stored', undefined],
  ])
  const { body } = await real.call('GET', '/v1/devices/demo/clock/readings?from=2025-10-25T00:00:00Z')
  const { series } = body as { series: { points: [number, number][] }[] }
  const times = ['25T23:50', '26T00:00', '26T00:40', '26T01:20', '26T01:50', '26T02:10']
  expect(series[0]?.points.map(([time]) => time)).toEqual(times.map((time) => Date.parse(day(time))))
})
