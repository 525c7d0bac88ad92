import { describe, expect, it } from 'vitest'
import { ok, runAgainst, startFakeService, type Answer } from './fake-service.ts'

/** Runs a command against a service that gives this answer to everything. */
async function run(args: readonly string[], answer: () => Answer) {
  const service = await startFakeService({ answer })
  const outcome = await runAgainst(service.url, args)
  return { ...outcome, request: service.requests.at(-1), requests: service.requests }
}

describe('retention', () => {
  const kept = ok({ mostSeconds: 86_400 * 365, tenants: [{ tenant: 'acme', keepSeconds: 43_200 }] })

  it('shows what is kept', async () => {
    const { stdout } = await run(['retention', 'show'], () => kept)
    expect(stdout).toMatch(/^Readings are kept for 365d, but for\n\ntenant +kept\nacme +12h\n/)
  })

  it('takes nothing away that was not said', async () => {
    const { code, stderr, requests } = await run(['retention', 'set', 'acme', '3h'], () => kept)
    expect({ code, methods: requests.map(({ method }) => method) }).toEqual({ code: 1, methods: ['GET'] })
    expect(stderr).toContain('would be gone for good: say so with --yes')
    const others = await run(['retention', 'set', 'other', '1d'], () => kept)
    expect(others.requests.map(({ method }) => method)).toEqual(['GET'])
  })

  it.each([
    [['acme', '3h', '--yes'], 10_800],
    [['acme', '1d'], 86_400],
    [['acme', 'default'], null],
  ])('sets %j', async (args, keepSeconds) => {
    const { code, request } = await run(['retention', 'set', ...args], () => kept)
    expect({ code, method: request?.method, path: request?.path, body: request?.body }).toEqual({
      code: 0,
      method: 'PUT',
      path: '/v1/retention/acme',
      body: { keepSeconds },
    })
  })
})
