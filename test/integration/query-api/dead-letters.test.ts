import { expect, it } from 'vitest'
import { deadLetterToRecord, type DeadLetter } from '../../../shared/dead-letter.ts'
import { Faults } from '../../../shared/faults.ts'
import { openApi } from './api.ts'
import type { MemoryLog } from './memory-ports.ts'

const START = 1_767_225_600_000

function letter(n: number, overrides: Partial<DeadLetter> = {}): DeadLetter {
  return {
    stage: 'decode',
    code: 'value_unsupported',
    detail: `number ${n}`,
    who: 'demo/first',
    topic: 't/demo/first/telemetry',
    key: 'demo/first',
    payload: Buffer.from(`{${n}`),
    ms: START + n,
    ns: 5,
    faults: Faults.of([{ element: 0, path: 'a', code: 'value_unsupported', detail: `number ${n}` }]),
    source: { partition: 0, offset: n },
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

/** As the version before wrote it: one for each reading, with its bytes alone. */
function oldLetter(n: number, element: number): DeadLetter {
  return letter(n, { faults: undefined, source: { partition: 0, offset: n, element } })
}

it('shows what is known of one', async () => {
  const { call, log } = await openApi()
  const first = { element: 0, path: 'a', code: 'value_unsupported' as const, detail: 'number 7' }
  const faults = Faults.of(
    [first, { ...first, element: 3, path: null, code: 'time_invalid' }],
    [
      ['value_unsupported', 120],
      ['time_invalid', 1],
    ],
  )
  await append(log, [
    letter(7, { faults }),
    letter(8, { stage: 'connect', code: 'login_failed', topic: undefined, source: undefined, faults: undefined }),
    letter(9, { stage: 'clock', code: 'clock_stepped', topic: undefined, source: undefined, faults: undefined }),
  ])
  const { body } = await call('GET', '/v1/dead-letters')
  expect(body).toMatchObject({
    deadLetters: [
      { id: 'refused/0/2', kind: 'warning', stage: 'clock', replayable: false },
      {
        ...{ id: 'refused/0/1', kind: 'refusal', stage: 'connect', code: 'login_failed', topic: null, source: null },
        replayable: false,
        faults: [{ element: null, path: null, code: 'login_failed', detail: 'number 8' }],
        faultCount: 1,
      },
      {
        id: 'telemetry.raw/0/7',
        kind: 'fault',
        stage: 'decode',
        code: 'value_unsupported',
        detail: 'number 7',
        fix: expect.stringMatching(/surrogate pair/) as string,
        faults: [
          { element: 0, path: 'a', code: 'value_unsupported', detail: 'number 7' },
          { element: 3, path: null, code: 'time_invalid', detail: 'number 7' },
        ],
        faultCount: 121,
        replayable: true,
        who: 'demo/first',
        topic: 't/demo/first/telemetry',
        time: '2026-01-01T00:00:00.017Z',
        receivedAt: '2026-01-01T00:00:00.007000005Z',
        source: { log: 'telemetry.raw', partition: 0, offset: 7 },
        payload: '{7',
        payloadBytes: 2,
      },
    ],
    next: null,
  })
})

it('letters of the version before are listed, one for each reading; those of a record that came again whole are not', async () => {
  const { call, log } = await openApi()
  await append(log, [oldLetter(1, 0), oldLetter(1, 4), oldLetter(2, 1), letter(2, { log: 'one' })])
  for (const limit of [10, 1]) {
    const found: { id: string; replayable: boolean; element: unknown }[] = []
    for (let cursor = ''; ;) {
      const { body } = await call('GET', `/v1/dead-letters?limit=${limit}${cursor}`)
      for (const one of body['deadLetters'] as { id: string; replayable: boolean; faults: { element: number }[] }[]) {
        found.push({ id: one.id, replayable: one.replayable, element: one.faults[0]?.element })
      }
      if (body['next'] === null) break
      cursor = `&cursor=${body['next'] as string}`
    }
    expect(found).toEqual([
      { id: 'one/0/2', replayable: true, element: 0 },
      { id: 'telemetry.raw/0/1/4', replayable: false, element: 4 },
      { id: 'telemetry.raw/0/1/0', replayable: false, element: 0 },
    ])
  }
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
  expect(body['deadLetters']).toMatchObject([{ id: 'standalone/0/1' }, { id: 'telemetry.raw/0/1' }])
})

it('filters by tenant, by kind, and by the code of any fault, listed or only counted', async () => {
  const { call, log } = await openApi()
  const login = { stage: 'connect', code: 'login_failed', key: '', source: undefined, faults: undefined } as const
  const listed = { element: 9, path: 'b', code: 'value_not_exact' as const, detail: '' }
  await append(log, [
    letter(1),
    letter(2, { key: 'other/first', who: 'other/first' }),
    letter(3, { faults: Faults.of([listed, listed], [['time_invalid', 1]]) }),
    letter(4, { ...login, who: 'demo/frist' }),
    letter(5, { ...login, who: '10.0.0.7' }),
    letter(6, { stage: 'clock', code: 'clock_stepped', source: undefined, faults: undefined }),
  ])
  expect((await readAll(call, 'tenant=demo')).details).toEqual(['number 6', 'number 4', 'number 3', 'number 1'])
  expect((await readAll(call, 'tenant=Demo')).details).toEqual([])
  expect((await readAll(call, 'code=time_invalid')).details).toEqual(['number 3'])
  expect((await readAll(call, 'code=value_not_exact')).details).toEqual(['number 3'])
  expect((await readAll(call, 'code=value_unsupported&tenant=other')).details).toEqual(['number 2'])
  expect((await readAll(call, 'kind=refusal')).details).toEqual(['number 5', 'number 4'])
  expect((await readAll(call, 'kind=warning')).details).toEqual(['number 6'])
  expect((await call('GET', '/v1/dead-letters?kind=other')).status).toBe(400)
})

it('one answer looks at a bounded number of letters and goes on from there', async () => {
  const { call, log } = await openApi()
  await append(log, [
    letter(0, { code: 'time_invalid', faults: undefined }),
    ...Array.from({ length: 25_000 }, (_, i) => letter(i + 1)),
  ])
  const first = (await call('GET', '/v1/dead-letters?code=time_invalid')).body
  expect(first['deadLetters']).toEqual([])
  expect(first['next']).not.toBeNull()
  expect(await readAll(call, 'code=time_invalid')).toEqual({ details: ['number 0'], pages: 2 })
})

it('records that are no dead letters of ours are passed over', async () => {
  const { call, log } = await openApi()
  await log.append('telemetry.dead-letter', [
    { key: 'x', value: Buffer.from('x'), ms: START, ns: 0, headers: undefined },
  ])
  await append(log, [letter(1)])
  expect((await readAll(call, 'limit=1')).details).toEqual(['number 1'])
})
