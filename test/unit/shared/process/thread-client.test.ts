import type { Worker } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SluiceError } from '../../../../shared/errors.ts'
import { ThreadClient, toError } from '../../../../shared/process/thread-client.ts'
import type { Calls } from './echo-thread.ts'

async function start(workerData: 'open' | 'refuse' | 'break' = 'open') {
  const events: string[] = []
  const lost: SluiceError[] = []
  const worker = Promise.withResolvers<Worker>()
  process.once('worker', worker.resolve)
  const { client, opened } = await ThreadClient.start<Calls, number, string>({
    file: new URL('./echo-thread.ts', import.meta.url),
    workerData,
    name: 'echo',
    lostCode: 'store_unavailable',
    toError,
    onEvent: (event) => events.push(event),
    onLost: (error) => lost.push(error),
  })
  onTestFinished(async () => void (await (await worker.promise).terminate()))
  return { client, opened, events, lost, worker: await worker.promise }
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof SluiceError ? error.code : String(error)),
  )

describe('what a thread is asked', () => {
  it('is posted in the order of the calls, and each caller gets the answer to its own question', async () => {
    const { client, opened } = await start()
    expect(opened).toBe(7)
    const answered: string[] = []
    const note = (name: string) => (): void => void answered.push(name)
    const [later, first, , second] = await Promise.all([
      client.ask('later', 'slow').finally(note('later')),
      client.ask('echo', { text: 'a' }).finally(note('a')),
      client.ask('tell', 'b').finally(note('tell')),
      client.ask('echo', { text: 'c' }).finally(note('c')),
    ])
    expect([later, first.text, second.text]).toEqual(['slow', 'a', 'c'])
    expect(second.seen).toEqual(['echo', 'tell', 'echo'])
    expect(answered).toEqual(['a', 'tell', 'c', 'later'])
  })

  it('fails with the error that the thread names, for its caller alone', async () => {
    const { client } = await start()
    const failed = client.ask('fail', undefined)
    const echoed = client.ask('echo', { text: 'a' })
    await expect(failed).rejects.toMatchObject({ code: 'disk_full', message: 'no room' })
    expect((await echoed).text).toBe('a')
  })

  it('takes its memory with it instead of a copy', async () => {
    const { client } = await start()
    const bytes = new Uint8Array(1000)
    const answer = client.ask('bytes', bytes, [bytes.buffer])
    expect(bytes.byteLength).toBe(0)
    expect(await answer).toBe(1000)
  })

  it('fails at once when it cannot be sent', async () => {
    const { client } = await start()
    await expect(client.ask('echo', { text: (() => '') as unknown as string })).rejects.toThrow('could not be cloned')
    expect((await client.ask('echo', { text: 'a' })).text).toBe('a')
  })
})

it('events of the thread come between its answers', async () => {
  const { client, events } = await start()
  await client.ask('tell', 'one')
  await client.ask('tell', 'two')
  expect(events).toEqual(['one', 'two'])
})

describe('a thread that cannot open', () => {
  it('ends the start with the error that it names, and is ended', async () => {
    const worker = Promise.withResolvers<Worker>()
    process.once('worker', worker.resolve)
    expect(await codeOf(start('refuse'))).toBe('data_locked')
    expect((await worker.promise).threadId).toBe(-1)
  })

  it('or that breaks before, ends it, too', async () => {
    await expect(start('break')).rejects.toMatchObject({
      code: 'store_unavailable',
      message: 'the thread of the echo ended: broken before it opened',
    })
  })
})

describe('a thread that is gone', () => {
  it.for(['throw', 'exit'] as const)('rejects all that is pending and all that is asked later (%s)', async (how) => {
    const { client, lost } = await start()
    const pending = [client.ask('later', 'never'), client.ask('die', how), client.ask('later', 'neither')]
    expect(await Promise.all(pending.map(codeOf))).toEqual(pending.map(() => 'store_unavailable'))
    expect(lost).toMatchObject([{ code: 'store_unavailable' }])
    expect(lost[0]?.message).toBe(`the thread of the echo ended: ${how === 'throw' ? 'out of order' : 'exit code 3'}`)
    expect(await codeOf(client.ask('echo', { text: 'a' }))).toBe('store_unavailable')
    await client.close()
    expect(lost).toHaveLength(1)
  })

  it('is told to whoever asks in the turn in which it ends', async () => {
    const { client, worker } = await start()
    const ended = worker.terminate()
    const pending = client.ask('echo', { text: 'a' })
    await ended
    expect(await codeOf(pending)).toBe('store_unavailable')
  })
})

describe('close', () => {
  it('answers what was asked before and ends the thread; nothing is asked afterwards', async () => {
    const { client, lost, worker } = await start()
    const before = client.ask('echo', { text: 'a' })
    const closed = client.close()
    const after = codeOf(client.ask('echo', { text: 'b' }))
    expect(client.close()).toBe(closed)
    await closed
    expect((await before).text).toBe('a')
    expect(await after).toBe('closed')
    expect(worker.threadId).toBe(-1)
    expect(await codeOf(client.ask('echo', { text: 'c' }))).toBe('closed')
    expect(lost).toEqual([])
  })
})
