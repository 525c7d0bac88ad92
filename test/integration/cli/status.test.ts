import { expect, it } from 'vitest'
import { ok, runAgainst, startFakeService, type Request } from './fake-service.ts'

it('status shows what waits in the log, how near retention is to it, and what was lost', async () => {
  const unstored = { records: 7, seconds: 90, retention: { seconds: 14_400, used: 0.6 } }
  const lost = { stage: 'log', time: new Date().toISOString(), detail: '4 records of partition 3 were deleted' }
  const answer = ({ path }: Request) => {
    if (path === '/v1/dead-letters') return ok({ deadLetters: [lost, { ...lost, stage: 'clock', detail: 'a step' }] })
    return path === '/v1/status' ? ok({ version: 'test', mode: 'cluster', unstored }) : undefined
  }
  const { url } = await startFakeService({ answer })
  const { code, stdout } = await runAgainst(url, ['status'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/log +7 records wait in the log, the oldest for 90.0 s; retention removes it in 4.0 h .*60 %/)
  expect(stdout).toMatch(/lost +\d.*: 4 records of partition 3 were deleted/)
  expect(stdout).not.toContain('a step')
})
