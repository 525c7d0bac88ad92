import { expect, it } from 'vitest'
import { deadLetterToRecord, type DeadLetter } from '../../../shared/dead-letter.ts'
import { Faults } from '../../../shared/faults.ts'
import { openApi } from './api.ts'
import { openReal } from './real-api.ts'

const FIRST = Date.now() - 1_000_000
const DEVICES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

/** Of devices by turns, which lie in all partitions. */
function letter(n: number, overrides: Partial<DeadLetter> = {}): DeadLetter {
  const key = `demo/${DEVICES[n % DEVICES.length] ?? ''}`
  return {
    ...{ stage: 'decode', code: 'time_invalid', detail: `number ${n}`, who: key, topic: `t/${key}/telemetry`, key },
    ...{ payload: Buffer.from(`{"n":${n}}`), ms: FIRST + n, ns: 0, log: 'one', source: { partition: 0, offset: n } },
    ...{ faults: Faults.of([{ element: 0, path: 'n', code: 'time_invalid', detail: `number ${n}` }]) },
    ...{ firstFailedMs: FIRST + n, attempts: 1 },
    ...overrides,
  }
}

/** The API on the log of the standalone deployment, in three partitions. */
const openIdle = () => openReal(undefined, { isIdle: true })
type Opened = Pick<Awaited<ReturnType<typeof openIdle>>, 'log' | 'call'>

async function append({ log }: Opened, letters: readonly DeadLetter[]): Promise<void> {
  await log.append('telemetry.dead-letter', letters.map(deadLetterToRecord))
}

async function exported({ call }: Opened, query = ''): Promise<{ ids: string[]; pages: number; cursors: string[] }> {
  const ids: string[] = []
  const cursors: string[] = []
  for (let [cursor, pages] = ['', 1]; ; pages += 1) {
    const { status, body } = await call('GET', `/v1/dead-letters/export?${query}${cursor}`)
    expect(status).toBe(200)
    ids.push(...(body['deadLetters'] as { id: string }[]).map(({ id }) => id))
    if (body['next'] === null) return { ids, pages, cursors }
    cursors.push(body['next'] as string)
    cursor = `&cursor=${body['next'] as string}`
  }
}

it('one letter has its whole payload, and what was done about it', async () => {
  const real = await openIdle()
  const long = Buffer.alloc(10_000, 'é')
  const bytes = Buffer.concat([Buffer.alloc(5_000, 0xff), Buffer.from([0])])
  const others = Array.from({ length: 700 }, (_, n) => letter(n + 10))
  await append(real, [letter(1, { payload: long }), letter(2, { payload: bytes }), ...others])
  const shown = await real.call('GET', '/v1/dead-letters/one%2F0%2F1')
  expect(shown).toMatchObject({ status: 200, body: { id: 'one/0/1', who: 'demo/b', payloadIsWhole: true, done: null } })
  expect(shown.body).toMatchObject({ payload: long.toString(), payloadBytes: 10_000 })
  const binary = await real.call('GET', '/v1/dead-letters/one%2F0%2F2')
  expect(binary.body).toMatchObject({ payloadBase64: bytes.toString('base64'), payloadBytes: 5_001 })
  await real.registry.letterNotes.put([{ id: 'one/0/1', state: 'discarded', tries: 0, job: 3, who: 'x', atMs: FIRST }])
  const noted = await real.call('GET', '/v1/dead-letters/one%2F0%2F1')
  expect(noted.body).toMatchObject({ done: { state: 'discarded', job: 3, who: 'x' } })
})

it('of a letter that was written twice the last is shown, and of what was no record by its own place', async () => {
  const real = await openIdle()
  const refusal = letter(5, {
    stage: 'publish',
    source: undefined,
    faults: undefined,
    payload: Buffer.alloc(4096, 'x'),
  })
  await append(real, [letter(1), letter(1, { detail: 'again', attempts: 2 }), refusal])
  expect((await real.call('GET', '/v1/dead-letters/one%2F0%2F1')).body).toMatchObject({ detail: 'again' })
  const { body } = await real.call('GET', '/v1/dead-letters?kind=refusal')
  const [{ id } = { id: '' }] = body['deadLetters'] as { id: string }[]
  expect(id).toMatch(/^refused\/\d\/0$|^refused\/\d\/2$/)
  const shown = await real.call('GET', `/v1/dead-letters/${encodeURIComponent(id)}`)
  expect(shown.body).toMatchObject({ id, kind: 'refusal', payloadIsWhole: false, payloadBytes: 4096 })
  expect(await exported(real, `id=${encodeURIComponent(id)}`)).toMatchObject({ ids: [id] })
})

it('there is no letter with an id that is none', async () => {
  const real = await openIdle()
  await append(real, [letter(1)])
  for (const id of ['one/0/2', 'two/0/1', 'refused/0/9', 'refused/9/0', 'refused/0/0', '', '../x', 'stats/1']) {
    const { status, body } = await real.call('GET', `/v1/dead-letters/${encodeURIComponent(id)}`)
    expect([id, status, body['code']]).toEqual([id, 404, 'not_found'])
  }
})

it('an export has all letters of all partitions once, the newest first, with whole payloads', async () => {
  const real = await openIdle()
  await append(
    real,
    Array.from({ length: 1_500 }, (_, n) => letter(n)),
  )
  const first = await exported(real)
  expect(first.ids).toEqual(Array.from({ length: 1_500 }, (_, n) => `one/0/${1_499 - n}`))
  expect(first.pages).toBeGreaterThan(1)
  // Whoever goes on where a page ended has the rest, whatever came meanwhile.
  await append(real, [letter(2_000), letter(2_001)])
  const rest = await exported(real, `cursor=${first.cursors[0] ?? ''}`)
  expect(rest.ids).toEqual(first.ids.slice(-rest.ids.length))
  expect(rest.ids.length).toBeLessThan(1_500)
  const some = await exported(real, 'device=c&code=time_invalid')
  expect(some.ids).toEqual(first.ids.filter((id) => Number(id.slice(6)) % DEVICES.length === 2))
})

it('a page of an export is bounded by its bytes', async () => {
  const { log, call } = await openApi()
  const payload = Buffer.alloc(600_000, 'x')
  await append(
    { log: log as never, call },
    Array.from({ length: 30 }, (_, n) => letter(n, { payload })),
  )
  const { body, text } = await call('GET', '/v1/dead-letters/export')
  expect(text.length).toBeLessThan(8 * 1024 * 1024)
  expect((body['deadLetters'] as object[]).length).toBeGreaterThan(3)
  const { ids } = await exported({ log: log as never, call })
  expect(new Set(ids).size).toBe(30)
  expect((await call('GET', '/v1/dead-letters/export?cursor=x')).body).toMatchObject({ code: 'cursor_invalid' })
})
