import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import { ok, problem, runAgainst, startFakeService, type Answer, type Request } from './fake-service.ts'

async function run(args: readonly string[], answer: (request: Request) => Answer) {
  const service = await startFakeService({ answer })
  const outcome = await runAgainst(service.url, ['dead-letters', ...args])
  return { ...outcome, requests: service.requests }
}

const letter = {
  ...{ id: 'log/0/7', kind: 'fault', stage: 'decode', replayable: true, who: 'demo/a', topic: 't/demo/a/telemetry' },
  ...{ headers: { qos: '2' }, time: 'later', receivedAt: 'then', source: { log: 'log', partition: 0, offset: 7 } },
  faults: [{ element: 3, path: 'motor.speed', code: 'time_invalid', detail: 'not a time' }],
  ...{ faultCount: 4, payload: '{\n"a":1}\u001b[2J', payloadBytes: 12, payloadIsWhole: true },
  done: { state: 'faulty', tries: 2, at: 'now', who: 'admin', job: 5 },
}

it('show tells all of one letter, and what to do', async () => {
  const { code, stdout, requests } = await run(['show', 'log/0/7'], () => ok(letter))
  expect(code).toBe(0)
  expect(requests).toMatchObject([{ method: 'GET', path: '/v1/dead-letters/log%2F0%2F7' }])
  expect(stdout).toMatch(/^topic +t\/demo\/a\/telemetry$/m)
  expect(stdout).toMatch(/^headers +qos=2$/m)
  expect(stdout).toMatch(/^done +faulty \(2\), job 5 by admin$/m)
  expect(stdout).toMatch(/^\[3\] motor.speed +time_invalid +not a time$/m)
  expect(stdout).toContain('\nand 3 more\n')
  expect(stdout).toContain('\npayload, 12 bytes:\n| {\n| "a":1}\\x1b[2J\n')
  expect(stdout).toContain('What to do:\n  time_invalid: ')
  expect(stdout).toContain('./sluice dead-letters replay --id log/0/7 --dry-run')
})

it('show dumps bytes that are no text', async () => {
  const bytes = Buffer.from([...Array(18).keys(), 0x41, 0x7e, 0x7f, 0xff])
  const binary = { ...letter, payload: undefined, payloadBase64: bytes.toString('base64'), payloadBytes: 22 }
  const { stdout } = await run(['show', 'x'], () => ok({ ...binary, payloadIsWhole: false, replayable: false }))
  expect(stdout).toContain(
    [
      'the beginning of the payload, all that was kept, 22 bytes, no text:',
      '| 00000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................',
      '| 00000010  10 11 41 7e 7f ff                                ..A~..',
    ].join('\n'),
  )
  expect(stdout).not.toContain('--dry-run')
})

it('show writes a payload byte by byte, and over no file', async () => {
  const file = join(tempFolder(), 'payload')
  const bytes = Buffer.from([0, 255, 10, 13])
  const binary = { ...letter, payload: undefined, payloadBase64: bytes.toString('base64') }
  expect(await run(['show', 'x', '--payload', file], () => ok(binary))).toMatchObject({ code: 0, stdout: '' })
  expect(readFileSync(file)).toEqual(bytes)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const again = await run(['show', 'x', '--payload', file], () => ok(letter))
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot write to') as string })
  expect(readFileSync(file)).toEqual(bytes)
})

const page = (numbers: readonly number[], next: string | null) =>
  ok({ deadLetters: numbers.map((n) => ({ ...letter, id: `log/0/${n}` })), next })

it('export writes all pages, each letter once', async () => {
  const pages: Record<string, Answer> = { '': page([9, 8], 'one'), one: page([], 'two'), two: page([8, 7], null) }
  const args = ['export', '--tenant', 'demo', '--kind', 'fault']
  const { code, stdout, stderr, requests } = await run(args, ({ query }) => pages[query.get('cursor') ?? ''] ?? ok({}))
  expect(code).toBe(0)
  const ids = stdout.split('\n').flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as { id: string }).id]))
  expect(ids).toEqual(['log/0/9', 'log/0/8', 'log/0/7'])
  expect(stderr).toBe('3 letters.\n')
  expect(requests[1]?.query.toString()).toBe('tenant=demo&kind=fault&cursor=one')
})

it('export says where to go on when it breaks off, and goes on behind what the file has', async () => {
  const file = join(tempFolder(), 'letters')
  const broken = await run(['export', '--format', 'raw', '--out', file], ({ query }) =>
    query.has('cursor') ? problem(503, 'log_unavailable', 'away') : page([9], 'one'),
  )
  expect(broken).toMatchObject({ code: 1, stdout: '' })
  expect(broken.stderr).toContain('1 letters were written; go on with --cursor one\n')
  const again = await run(['export', '--format', 'raw', '--out', file], () => page([1], null))
  expect(again.code).toBe(1)
  const rest = await run(['export', '--format', 'raw', '--out', file, '--cursor', 'one'], () => page([8], null))
  expect(rest).toMatchObject({ code: 0, stderr: `1 letter in ${file}.\n` })
  expect(rest.requests[0]?.query.get('cursor')).toBe('one')
  expect(readFileSync(file, 'utf8')).toBe(`${letter.payload}\n${letter.payload}\n`)
})

it('export of payloads as they are needs a file', async () => {
  const { code, stderr, requests } = await run(['export', '--format', 'raw'], () => page([1], null))
  expect([code, requests.length]).toEqual([1, 0])
  expect(stderr).toContain('--out')
  const file = join(tempFolder(), 'there')
  writeFileSync(file, 'x')
  await run(['export', '--out', file], () => page([1], null))
  expect(readFileSync(file, 'utf8')).toBe('x')
})
