import { expect, it } from 'vitest'
import { ok, runAgainst, startFakeService, type Request } from './fake-service.ts'

it('status shows what waits in the log, how near retention is to it, and what was lost', async () => {
  const unstored = { records: 7, seconds: 90, retention: { seconds: 14_400, used: 0.6 } }
  const lost = { stage: 'log', time: new Date().toISOString(), detail: '4 records of partition 3 were deleted' }
  const answer = ({ path }: Request) => {
    if (path === '/v1/dead-letters') return ok({ deadLetters: [lost, { ...lost, stage: 'clock', detail: 'a step' }] })
    if (path === '/v1/log') {
      return ok({ partitions: [], repartition: { state: 'switched', from: 12, to: 24, since: '2026-01-01T00:00:00Z' } })
    }
    return path === '/v1/status' ? ok({ version: 'test', mode: 'cluster', unstored }) : undefined
  }
  const { url } = await startFakeService({ answer })
  const { code, stdout } = await runAgainst(url, ['status'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/log +7 records wait in the log, the oldest for 90.0 s; retention removes it in 4.0 h .*60 %/)
  expect(stdout).toMatch(/lost +\d.*: 4 records of partition 3 were deleted/)
  expect(stdout).toContain('partitions 12 to 24, switched since 2026-01-01T00:00:00Z')
  expect(stdout).not.toContain('a step')
})

it.each([
  [[], true, 'none in the last hour'],
  [
    [
      ['time_ahead', 4],
      ['topic_unknown', 1],
    ],
    true,
    '5 in the last hour: time_ahead 4, topic_unknown 1',
  ],
  [
    [
      ['a', 9],
      ['b', 8],
      ['c', 7],
      ['d', 6],
      ['e', 5],
      ['f', 1],
    ],
    false,
    'more than 36 in the last hour: a 9, b 8, c 7, d 6, e 5, and more',
  ],
] as const)('status counts letters %j', async (counts, complete, text) => {
  const codes = counts.map(([code, letters]) => ({ code, letters, faults: letters }))
  const letters = codes.reduce((sum, one) => sum + one.letters, 0)
  const from: number[] = []
  const { url } = await startFakeService({
    answer: ({ path, query }: Request) => {
      if (path !== '/v1/dead-letters/stats') return undefined
      if (query.has('to')) return ok({ letters: 1_000_000, codes: [], complete: true })
      from.push(Number(query.get('from')))
      return ok({ letters, codes, complete })
    },
  })
  const { stdout } = await runAgainst(url, ['status'])
  expect(stdout).toContain(`letters    ${text}\n`)
  expect(Math.abs(Date.now() - 3_600_000 - (from[0] ?? 0))).toBeLessThan(60_000)
})

it.each([
  [99, 0, true, undefined],
  [200, 480, true, undefined],
  [201, 480, true, 'growing, after 20.0 an hour in the day before: ./sluice dead-letters stats says of what and whom'],
  [500, 0, true, 'growing, after 0.0 an hour in the day before: '],
  [500, 0, false, undefined],
  [20_000, 0, false, 'growing: '],
])('status says that letters grow: %j after %j, complete %j', async (now, before, isKnown, text) => {
  const spans: number[] = []
  const { url } = await startFakeService({
    answer: ({ path, query }: Request) => {
      if (path !== '/v1/dead-letters/stats') return undefined
      if (!query.has('to')) return ok({ letters: now, codes: [], complete: now < 20_000 })
      spans.push(Number(query.get('to')) - Number(query.get('from')))
      return ok({ letters: before, codes: [], complete: isKnown })
    },
  })
  const { stdout } = await runAgainst(url, ['status'])
  if (text === undefined) expect(stdout).not.toContain('growing')
  else expect(stdout).toContain(`letters    ${text}`)
  expect(spans).toEqual(now < 100 ? [] : [86_400_000])
})
