import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readCursor, writeCursor } from '../../../services/query-api/letters.ts'
import { deadLetterToRecord, type DeadLetter } from '../../../shared/dead-letter.ts'
import type { SluiceError } from '../../../shared/errors.ts'
import { openApi } from './api.ts'
import type { MemoryLog } from './memory-ports.ts'

const START = 1_767_225_600_000

function letter(n: number, overrides: Partial<DeadLetter> = {}): DeadLetter {
  return {
    stage: 'decode',
    code: 'payload_not_json',
    detail: `number ${n}`,
    who: 'demo/first',
    topic: 't/demo/first/telemetry',
    key: 'demo/first',
    payload: Buffer.from(`{${n}`),
    ms: START + n,
    ns: 5,
    source: { partition: 0, offset: n, element: 0 },
    firstFailedMs: START + 10 + n,
    attempts: 1,
    ...overrides,
  }
}

async function append(log: MemoryLog, letters: readonly DeadLetter[]): Promise<void> {
  await log.append('telemetry.dead-letter', letters.map(deadLetterToRecord))
}

type Call = Awaited<ReturnType<typeof openApi>>['call']

/** Details of all pages, newest first, and how many pages there were. */
async function readAll(call: Call, query: string): Promise<{ details: string[]; pages: number }> {
  const details: string[] = []
  for (let cursor = '', pages = 1; ; pages += 1) {
    const { status, body } = await call('GET', `/v1/dead-letters?${query}${cursor}`)
    expect(status).toBe(200)
    details.push(...(body['deadLetters'] as { detail: string }[]).map(({ detail }) => detail))
    if (body['next'] === null) return { details, pages }
    cursor = `&cursor=${body['next'] as string}`
  }
}

it('shows what is known of one', async () => {
  const { call, log } = await openApi()
  await append(log, [
    letter(7),
    letter(8, { stage: 'connect', code: 'login_failed', topic: undefined, source: undefined }),
  ])
  const { body } = await call('GET', '/v1/dead-letters')
  expect(body).toMatchObject({
    deadLetters: [
      { id: 'refused/0/1', stage: 'connect', code: 'login_failed', topic: null, source: null },
      {
        id: '0/7/0',
        stage: 'decode',
        code: 'payload_not_json',
        detail: 'number 7',
        fix: expect.stringMatching(/valid JSON/) as string,
        who: 'demo/first',
        topic: 't/demo/first/telemetry',
        time: '2026-01-01T00:00:00.017Z',
        receivedAt: '2026-01-01T00:00:00.007000005Z',
        source: { partition: 0, offset: 7, element: 0 },
        payload: '{7',
        payloadBytes: 2,
      },
    ],
    next: null,
  })
})

it.each([
  ['text', Buffer.from('é\u0000'), { payload: 'é\u0000', payloadBytes: 3 }],
  ['nothing', Buffer.alloc(0), { payload: '', payloadBytes: 0 }],
  ['bytes', Buffer.from([0xff, 0xfe]), { payloadBase64: '//4=', payloadBytes: 2 }],
  [
    'a character cut at the end of it all',
    Buffer.from('aé').subarray(0, 2),
    { payloadBase64: 'YcM=', payloadBytes: 2 },
  ],
  [
    'long text, cut within a character',
    Buffer.from('é'.repeat(2049)),
    { payload: 'é'.repeat(2048), payloadBytes: 4098 },
  ],
  [
    'long text of odd length',
    Buffer.from(`a${'é'.repeat(2049)}`),
    { payload: `a${'é'.repeat(2047)}`, payloadBytes: 4099 },
  ],
  [
    'what was cut when it was kept',
    Buffer.from(`a${'é'.repeat(2049)}`).subarray(0, 4096),
    { payload: `a${'é'.repeat(2047)}`, payloadBytes: 4096 },
  ],
])('payload: %s', async (_name, payload, expected) => {
  const { call, log } = await openApi()
  await append(log, [letter(1, { payload })])
  const [shown] = (await call('GET', '/v1/dead-letters')).body['deadLetters'] as Record<string, unknown>[]
  const { payload: text, payloadBase64, payloadBytes } = shown ?? {}
  expect(JSON.parse(JSON.stringify({ payload: text, payloadBase64, payloadBytes }))).toEqual(expected)
})

it('newest first over all pages, each once', async () => {
  const { call, log } = await openApi()
  await append(
    log,
    Array.from({ length: 450 }, (_, i) => letter(i)),
  )
  const { details, pages } = await readAll(call, 'limit=70')
  expect(details).toEqual(Array.from({ length: 450 }, (_, i) => `number ${449 - i}`))
  expect(pages).toBe(7)
})

it('what is appended while somebody pages does not move the pages', async () => {
  const { call, log } = await openApi()
  await append(
    log,
    Array.from({ length: 20 }, (_, i) => letter(i)),
  )
  const first = (await call('GET', '/v1/dead-letters?limit=10')).body
  await append(log, [letter(20), letter(21)])
  const second = (await call('GET', `/v1/dead-letters?limit=10&cursor=${first['next'] as string}`)).body
  const details = (second['deadLetters'] as { detail: string }[]).map(({ detail }) => detail)
  expect(details).toEqual(Array.from({ length: 10 }, (_, i) => `number ${9 - i}`))
})

it('repeats of a source appear once, on whatever page they are', async () => {
  const { call, log } = await openApi()
  const letters = Array.from({ length: 300 }, (_, i) => letter(i))
  const repeats = letters.slice(100).map((one) => ({ ...one, detail: `${one.detail} again`, attempts: 2 }))
  await append(log, [...letters, ...repeats])
  for (const limit of [1000, 150, 33]) {
    const { details } = await readAll(call, `limit=${limit}`)
    expect(details).toHaveLength(300)
    expect(details.slice(0, 200).every((detail) => detail.endsWith('again'))).toBe(true)
    expect(new Set(details.map((detail) => detail.replace(' again', ''))).size).toBe(300)
  }
})

it('refusals before the log have no source and are never taken for repeats', async () => {
  const { call, log } = await openApi()
  await append(log, [letter(1, { source: undefined }), letter(1, { source: undefined })])
  expect((await readAll(call, 'limit=1')).details).toHaveLength(2)
})

it('letters that came from another log are no repeats of ours', async () => {
  const { call, log } = await openApi()
  await append(log, [letter(1), letter(1, { log: 'standalone' }), letter(1, { log: 'standalone' })])
  const { body } = await call('GET', '/v1/dead-letters')
  expect(body['deadLetters']).toMatchObject([{ id: 'standalone/0/1/0' }, { id: '0/1/0' }])
})

it('filters by tenant and code', async () => {
  const { call, log } = await openApi()
  await append(log, [
    letter(1),
    letter(2, { key: 'other/first', who: 'other/first' }),
    letter(3, { code: 'time_invalid' }),
    letter(4, { stage: 'connect', code: 'login_failed', key: '', who: 'demo/frist', source: undefined }),
    letter(5, { stage: 'connect', code: 'login_failed', key: '', who: '10.0.0.7', source: undefined }),
  ])
  expect((await readAll(call, 'tenant=demo')).details).toEqual(['number 4', 'number 3', 'number 1'])
  expect((await readAll(call, 'tenant=Demo')).details).toEqual([])
  expect((await readAll(call, 'code=time_invalid')).details).toEqual(['number 3'])
  expect((await readAll(call, 'code=payload_not_json&tenant=other')).details).toEqual(['number 2'])
})

it('one answer looks at a bounded number of letters and goes on from there', async () => {
  const { call, log } = await openApi()
  await append(log, [letter(0, { code: 'time_invalid' }), ...Array.from({ length: 25_000 }, (_, i) => letter(i + 1))])
  const first = (await call('GET', '/v1/dead-letters?code=time_invalid')).body
  expect(first['deadLetters']).toEqual([])
  expect(first['next']).not.toBeNull()
  expect(await readAll(call, 'code=time_invalid')).toEqual({ details: ['number 0'], pages: 2 })
})

it.each(['nonsense', 'e30', 'WzFd', 'W1sxLC0xXV0', 'bnVsbA', 'W1siYSIsMV1d'])(
  'refuses the cursor %s',
  async (cursor) => {
    const { call } = await openApi()
    const answer = await call('GET', `/v1/dead-letters?cursor=${cursor}`)
    expect(answer).toMatchObject({ status: 400, body: { code: 'cursor_invalid' } })
  },
)

it('cursors: what was written is read; anything else is an error and nothing worse', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(), fc.maxSafeNat())), (entries) => {
      const cursor = new Map(entries)
      expect(readCursor(writeCursor(cursor))).toEqual(cursor)
    }),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json().map((json) => Buffer.from(json).toString('base64url')),
      ),
      (text) => {
        try {
          expect(readCursor(text)).toBeInstanceOf(Map)
        } catch (error) {
          expect((error as SluiceError).code).toBe('cursor_invalid')
        }
      },
    ),
  )
})

it('records that are no dead letters of ours are passed over', async () => {
  const { call, log } = await openApi()
  await log.append('telemetry.dead-letter', [
    { key: 'x', value: Buffer.from('x'), ms: START, ns: 0, headers: undefined },
  ])
  await append(log, [letter(1)])
  expect((await readAll(call, 'limit=1')).details).toEqual(['number 1'])
})
