import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import { ok, runAgainst, startFakeService, type Answer, type Request } from './fake-service.ts'

const login = { username: 'a/b', secret: 'the-secret', token: 'the-token' }

async function run(args: readonly string[], answer: (request: Request) => Answer | undefined = () => ok({})) {
  const service = await startFakeService({ answer })
  const outcome = await runAgainst(service.url, args)
  return { ...outcome, request: service.requests.at(-1), requests: service.requests }
}

interface Row {
  readonly tenant: string
  readonly device: string
}

/** Makes all but those called `old`. */
function bulk({ body }: Request): Answer {
  const { devices, dryRun } = body as { devices: Row[]; dryRun: boolean }
  const isOld = ({ device }: Row) => device === 'old'
  const made = devices.filter((row) => !isOld(row)).map(({ tenant, device }) => ({ ...login, tenant, device }))
  return { status: 201, body: { devices: dryRun ? [] : made, skipped: devices.filter(isOld) } }
}

function csv(...lines: string[]): string {
  const file = join(tempFolder(), 'devices.csv')
  writeFileSync(file, lines.join('\n'))
  return file
}

describe('devices import', () => {
  const lines = [
    'tenant,device,site,"floor, wing"',
    'a,p1,north,"2, east"',
    'a,old,,',
    'a,b\u200bc,x,y',
    'a,p1,,',
    'a,p2',
  ]

  it('makes what it can, names the lines that it could not, and keeps the credentials for the owner', async () => {
    const file = csv(...lines)
    const { code, stdout, request } = await run(['devices', 'import', file, '--json'], bulk)
    expect(request?.body).toMatchObject({
      devices: [
        { tenant: 'a', device: 'p1', tags: { site: 'north', 'floor, wing': '2, east' } },
        { tenant: 'a', device: 'old', tags: {} },
      ],
      existing: 'skip',
    })
    const out = `${file}.credentials.csv`
    expect(JSON.parse(stdout)).toMatchObject({
      made: 1,
      failed: [3, 4, 5, 6].map((line) => ({ line })),
      credentials: out,
    })
    expect(code).toBe(1)
    expect(statSync(out).mode & 0o777).toBe(0o600)
    expect(readFileSync(out, 'utf8')).toBe('tenant,device,username,secret,token\na,p1,a/b,the-secret,the-token\n')
    expect(stdout).not.toContain('the-secret')
    const again = await run(['devices', 'import', file], bulk)
    expect(again).toMatchObject({ code: 1, requests: [] })
    expect(again.stderr).toContain('--out')
  })

  it('only looks with --dry-run', async () => {
    const file = csv(...lines)
    const { code, stdout, request } = await run(['devices', 'import', file, '--dry-run'], bulk)
    expect(request?.body).toMatchObject({ dryRun: true })
    expect(stdout).toMatch(
      /^1 device would be created, 4 not\.\nline 3: a\/old already exists\nline 4: device "b\\u\{200b\}c" contains U\+200B/,
    )
    expect(stdout).toContain('line 5: a/p1 is already on line 2')
    expect(stdout).toContain('line 6: 2 cells, but the first line has 4')
    expect(() => statSync(`${file}.credentials.csv`)).toThrow('ENOENT')
    expect(code).toBe(1)
  })

  it('of a good file is exit 0, in parts of a thousand', async () => {
    const rows = Array.from({ length: 2_500 }, (_, index) => `a,d${index}`)
    const file = csv('device,tenant', ...rows.map((row) => row.split(',').reverse().join(',')))
    const { code, requests, stdout } = await run(['devices', 'import', file, '--out', `${file}.new`], bulk)
    expect(code).toBe(0)
    expect(stdout).toBe('2500 devices created, 0 not.\n')
    expect(requests.map(({ body }) => (body as { devices: Row[] }).devices.length)).toEqual([1000, 1000, 500])
    expect(readFileSync(`${file}.new`, 'utf8').trim().split('\n')).toHaveLength(2_501)
  })

  it.each([['name,serial\na,b'], [''], ['tenant,device,x,x\n'], ['tenant,device\na,"b']])(
    'refuses %j',
    async (text) => {
      const { code, requests } = await run(['devices', 'import', csv(text)], bulk)
      expect({ code, requests }).toEqual({ code: 1, requests: [] })
    },
  )
})

describe('logins', () => {
  it('rotate says when the old one ends', async () => {
    const answer = () => ({ status: 201, body: { ...login, oldEndsAt: '2026-12-01T00:00:00Z' } })
    const device = await run(['devices', 'rotate', 'a/b', '--overlap', '1h'], answer)
    expect(device.request).toMatchObject({ path: '/v1/devices/a/b/rotate', body: { overlapSeconds: 3600 } })
    expect(device.stdout).toContain('at 2026-12-01T00:00:00Z at the latest')
    const now = await run(['applications', 'rotate', 'dash', '--overlap', '0'], answer)
    expect(now.request).toMatchObject({ path: '/v1/applications/dash/rotate', body: { overlapSeconds: 0 } })
    expect((await run(['devices', 'rotate', 'a/b'], answer)).request?.body).toEqual({ overlapSeconds: 604_800 })
    expect((await run(['devices', 'rotate', 'a/b', '--overlap', '100d'])).code).toBe(2)
  })

  it.each(['revoke', 'disable', 'enable'])('%s', async (action) => {
    const answer = () => ok({ disabled: action !== 'enable' })
    const device = await run(['devices', action, 'a/b', '--json'], answer)
    expect(device.request).toMatchObject({ method: 'POST', path: `/v1/devices/a/b/${action}` })
    expect(JSON.parse(device.stdout)).toEqual({ name: 'a/b', disabled: action !== 'enable' })
    expect((await run(['applications', action, 'dash'], answer)).request?.path).toBe(`/v1/applications/dash/${action}`)
  })

  it('remove takes many, or a whole tenant', async () => {
    const removed = ({ body }: Request) => ok({ removed: (body as { devices: Row[] }).devices })
    const some = await run(['devices', 'remove', 'a/b', 'a/c'], removed)
    expect(some.request).toMatchObject({ path: '/v1/devices/bulk-remove' })
    expect(some.stdout).toBe('Removed 2 devices; their readings are kept.\n')
    let left = 1_500
    const all = await run(['devices', 'remove', '--all-of-tenant', 'sim', '--json'], ({ method, query, body }) => {
      if (method === 'POST') {
        left -= (body as { devices: Row[] }).devices.length
        return ok({ removed: (body as { devices: Row[] }).devices })
      }
      expect(query.get('tenant')).toBe('sim')
      const count = Math.min(left, Number(query.get('limit')))
      return ok({ devices: Array.from({ length: count }, (_, n) => ({ tenant: 'sim', device: `d${n}` })), next: null })
    })
    expect(JSON.parse(all.stdout)).toEqual({ removed: 1_500 })
    for (const args of [[], ['a/b', '--all-of-tenant', 'a']]) {
      expect(await run(['devices', 'remove', ...args])).toMatchObject({ code: 1, requests: [] })
    }
  })

  it('pending shows who, and accept makes it', async () => {
    const entry = { tenant: 'a', device: 'b', by: 'login', who: 'a/b', topic: null, lastAt: 'T', times: 3 }
    const { stdout } = await run(['devices', 'pending'], () => ok({ pending: [entry] }))
    expect(stdout).toContain('./sluice devices accept a/b')
    const answer = ({ method }: Request) => (method === 'GET' ? ok({ pending: [entry] }) : { status: 201, body: login })
    const accepted = await run(['devices', 'accept', 'a/b'], answer)
    expect(accepted.request).toMatchObject({ method: 'POST', path: '/v1/devices', body: { tenant: 'a', device: 'b' } })
    expect(accepted.stdout).toContain('the-secret')
    const other = await run(['devices', 'accept', 'a/c'], answer)
    expect(other).toMatchObject({ code: 1, request: { method: 'GET' } })
    expect(other.stderr).toContain('a/c is not pending')
  })
})

describe('claim-keys', () => {
  it('add shows the key once, list and revoke name its id', async () => {
    const key = { id: 'c1', tenant: 'a', maxUses: 5, uses: 2, createdAt: 'T', expiresAt: null }
    const args = ['claim-keys', 'add', 'a', '--uses', '5', '--expires', '30d', '--tag', 'batch=7']
    const made = await run(args, () => ({ status: 201, body: { ...key, key: 'slc_x' } }))
    expect(made.request?.body).toEqual({ tenant: 'a', maxUses: 5, expiresSeconds: 2_592_000, tags: { batch: '7' } })
    expect(made.stdout).toContain('slc_x')
    expect((await run(['claim-keys', 'list'], () => ok({ claimKeys: [key] }))).stdout).toMatch(/c1 +a +2\/5 +never/)
    const revoked = await run(['claim-keys', 'revoke', 'c1'], () => ({ status: 204 }))
    expect(revoked.request).toMatchObject({ method: 'DELETE', path: '/v1/claim-keys/c1' })
  })
})

describe('audit', () => {
  it('reads page after page', async () => {
    const entries = [9, 8].map((id) => ({
      id,
      at: 'T',
      who: 'admin',
      action: 'device.create',
      subject: 'a/b',
      detail: null,
    }))
    const { stdout, requests } = await run(['audit', '--limit', '3'], ({ query }) =>
      ok({ entries, next: query.has('before') ? null : 8 }),
    )
    expect(requests.map(({ query }) => query.get('before'))).toEqual([null, '8'])
    expect(stdout).toMatch(/T +admin +device\.create +a\/b/)
  })
})
