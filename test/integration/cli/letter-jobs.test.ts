import { describe, expect, it } from 'vitest'
import { ok, runAgainst, startFakeService, type Answer, type Request } from './fake-service.ts'

async function run(args: readonly string[], answer: (request: Request) => Answer) {
  const service = await startFakeService({ answer })
  const outcome = await runAgainst(service.url, args)
  return { ...outcome, requests: service.requests }
}

const job = { id: 7, kind: 'letters replay', state: 'waiting', counts: {}, progress: '', who: 'admin', endedAt: null }
const made = { job, counts: {}, points: [], complete: true }

describe('dead-letters replay and discard', () => {
  it('show what a dry run says, point by point', async () => {
    const point = { letter: 'log/0/1', tenant: 'demo', device: 'a', stream: 'x', kind: 'number', time: 'then' }
    const points = [
      { ...point, field: 'v', value: 5, stored: null, outcome: 'stored' },
      { ...point, field: 'word', value: 'b', stored: 'a', outcome: 'superseded' },
    ]
    const preview = { job: null, counts: { letters: 1, stored: 1, superseded: 1 }, points, complete: false }
    const args = ['dead-letters', 'replay', '--tenant', 'demo', '--code', 'time_ahead', '--from', '5000000000000']
    const { code, stdout, requests } = await run([...args, '--rate', '10', '--dry-run'], () => ok(preview))
    expect(code).toBe(0)
    expect(requests).toMatchObject([
      {
        method: 'POST',
        path: '/v1/dead-letters/replay',
        body: { tenant: 'demo', code: 'time_ahead', from: '5000000000000', rate: 10, dryRun: true },
      },
    ])
    expect(stdout).toMatch(/then +demo\/a x +v +5 +stored\nthen +demo\/a x +word +"a" +"b" +superseded\n/)
    expect(stdout).toContain('letters 1, stored 1, superseded 1. There are more letters than a dry run looks at.')
  })

  it.each(['replay', 'discard'])('%s waits for the job, which may fail', async (verb) => {
    const counts = { letters: 3, skipped: 1 }
    for (const [state, expected] of [
      ['done', 0],
      ['failed', 1],
    ]) {
      const { code, stdout, requests } = await run(['dead-letters', verb], ({ method }) =>
        method === 'POST' ? ok(made) : ok({ ...job, state, counts, progress: 'All seen.', endedAt: 'now' }),
      )
      expect(code).toBe(expected)
      expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
        `POST /v1/dead-letters/${verb}`,
        'GET /v1/jobs/7',
      ])
      expect(stdout).toContain(`is ${state}. letters 3, skipped 1; All seen.`)
    }
  })

  it('does not wait when it is told so', async () => {
    const { code, stdout, requests } = await run(['dead-letters', 'discard', '--detach'], () => ok(made))
    expect({ code, stdout, count: requests.length }).toEqual({ code: 0, stdout: 'Made job 7.\n', count: 1 })
  })
})

describe('dead-letters stats', () => {
  it('shows causes and devices', async () => {
    const states = { open: 3, replayed: 2, faulty: 0, discarded: 0 }
    const stats = {
      ...{ letters: 5, first: 'then', last: 'now', complete: false, states },
      codes: [{ code: 'time_ahead', letters: 5, faults: 7 }],
      who: [{ who: 'demo/a', letters: 5 }],
    }
    const { stdout, requests } = await run(['dead-letters', 'stats', '--device', 'a'], () => ok(stats))
    expect(requests[0]).toMatchObject({ method: 'GET', path: '/v1/dead-letters/stats' })
    expect(requests[0]?.query.get('device')).toBe('a')
    expect(stdout).toContain('5 letters from then to now: open 3, replayed 2, faulty 0, discarded 0. There are more')
    expect(stdout).toMatch(/time_ahead +5 +7\n/)
    expect(stdout).toMatch(/demo\/a +5\n/)
    const none = await run(['dead-letters', 'stats'], () => ok({ ...stats, letters: 0 }))
    expect(none.stdout).toBe('No dead letters.\n')
  })
})
