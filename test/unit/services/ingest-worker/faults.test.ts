import { describe, expect, it, vi } from 'vitest'
import { SluiceError, type ErrorCode } from '../../../../shared/errors.ts'
import { withMethods } from '../../../../load-tests/reference/overriding.ts'
import { counter, World } from './harness.ts'
import { PATIENCE } from '../../../patience.ts'

const T = 1_769_860_800_000
const readings = Array.from({ length: 50 }, (_, n) => ({ ts: T + n, n, m: -n }))

/** Rejects the first `times` calls with the code. */
function failing<A extends unknown[], R>(times: number, code: ErrorCode, call: (...args: A) => Promise<R>) {
  let left = times
  return vi.fn(async (...args: A): Promise<R> => {
    if (left-- > 0) throw new SluiceError(code, 'out of order')
    return call(...args)
  })
}

describe('a dependency that fails for a while delays, and loses nothing', () => {
  it.each([
    { port: 'points', method: 'write', code: 'store_unavailable' },
    { port: 'points', method: 'sync', code: 'store_unavailable' },
    { port: 'points', method: 'write', code: 'disk_full' },
    { port: 'registry', method: 'pinFieldTypes', code: 'registry_unavailable' },
    { port: 'registry', method: 'readStreams', code: 'registry_unavailable' },
    { port: 'registry', method: 'writeState', code: 'registry_unavailable' },
    { port: 'log', method: 'append', code: 'log_unavailable' },
  ] as const)('$port, $method: $code', async ({ port, method, code }) => {
    const world = new World()
    await world.publish([...readings, '{not JSON'])
    const target: object = world[port]
    const own = Reflect.get(target, method) as (...args: unknown[]) => Promise<unknown> // named in the table above
    const call = failing(3, code, own.bind(target))
    const worker = await world.work({ [port]: withMethods(target, { [method]: call }) })
    await vi.waitFor(
      () => expect(worker.status()).toMatchObject({ ok: false, detail: expect.stringContaining(code) as string }),
      PATIENCE,
    )
    expect(world.log.committed).toEqual([0])
    await world.settled()
    expect(worker.status()).toEqual({ ok: true })
    expect(call.mock.calls.length).toBeGreaterThanOrEqual(4)
    expect(world.points.visible.size).toBe(100)
    expect(world.deadLetters()).toMatchObject([{ code: 'payload_not_json' }])
    // Only the store that failed is asked again.
    if (method !== 'write') expect(world.points.written).toHaveLength(100)
    expect(await counter(worker.options, 'retries_total')).toBe(3)
  })

  it('the cache: nobody waits for it', async () => {
    const world = new World()
    await world.publish(readings)
    const setMany = failing(Infinity, 'internal', async () => {})
    const worker = await world.work({ cache: { ...world.cache, setMany } })
    await world.settled()
    expect(worker.status()).toEqual({ ok: true })
    expect(await counter(worker.options, 'cache_errors_total')).toBeGreaterThan(0)
  })
})

it('a configuration error stops the worker, is shown, and never makes dead letters', async () => {
  const world = new World()
  await world.publish(readings)
  const write = failing(Infinity, 'setting_invalid', async () => [])
  const worker = await world.work({ points: withMethods(world.points, { write }) }, { INGEST_CLOSE_MS: '10' })
  await vi.waitFor(
    () => expect(worker.status()).toEqual({ ok: false, detail: 'points: setting_invalid: out of order' }),
    PATIENCE,
  )
  await worker.close()
  expect(world.log.committed).toEqual([0])
  expect(world.log.records['telemetry.dead-letter']).toEqual([[]])
})

it.each(['disk_full', 'storage_failed'] as const)(
  'a stop does not wait for what is for people to mend: %s',
  async (code) => {
    const world = new World()
    await world.publish(readings)
    const write = failing(Infinity, code, async () => [])
    // Longer than the time limit of the test.
    const worker = await world.work({ points: withMethods(world.points, { write }) }, { INGEST_CLOSE_MS: '60000' })
    await vi.waitFor(() => expect(worker.status().ok).toBe(false), PATIENCE)
    await worker.close()
    expect(world.log.committed).toEqual([0])
  },
)

describe('points that the store refuses', () => {
  const refused = new SluiceError('store_rejected', 'no such number')

  it('are faults of their fields alone', async () => {
    const world = new World()
    await world.publish(readings)
    const points = withMethods(world.points, {
      write: async (batch: Parameters<typeof world.points.write>[0]) => {
        const bad = [...batch.series.keys()].filter((i) => batch.series[i]?.field === 'n' && batch.values[i] === 7)
        const keep = (_: unknown, i: number) => !bad.includes(i)
        await world.points.write({
          series: batch.series.filter(keep),
          ms: batch.ms.filter(keep),
          ns: batch.ns.filter(keep),
          values: batch.values.filter(keep),
        })
        return bad.map((index) => ({ index, error: refused }))
      },
    })
    await world.work({ points }, { INGEST_WRITE_POINTS: '11' })
    await world.settled()
    expect(world.points.visible.size).toBe(99)
    expect(world.deadLetters()).toMatchObject([
      {
        code: 'store_rejected',
        stage: 'store',
        source: { partition: 0, offset: 7 },
        faults: { first: [{ element: 0, path: 'n', code: 'store_rejected', detail: 'no such number' }] },
      },
    ])
    const state = world.registry.states.get('demo/first/telemetry')
    expect(state?.fields).toMatchObject({ n: { value: 49 }, m: { value: -49 } })
  })

  it('are found by halving when the store refuses the whole write', async () => {
    const world = new World()
    await world.publish(readings)
    const write: typeof world.points.write = async (batch) => {
      if (batch.values.includes(7) || batch.values.includes(31)) throw refused
      return world.points.write(batch)
    }
    await world.work({ points: withMethods(world.points, { write }) })
    await world.settled()
    expect(world.points.visible.size).toBe(98)
    expect(world.deadLetters().map(({ source }) => source?.offset)).toEqual([7, 31])
    // Halving keeps the order.
    expect(world.points.written).toEqual([...world.points.written].toSorted((a, b) => timeOf(a) - timeOf(b)))
  })
})

function timeOf(id: string): number {
  return Number(id.slice(id.indexOf('@') + 1))
}

/** The world's log, and what makes its consumer stop by itself. */
function stoppable({ log }: World): { log: World['log']; stop: () => void } {
  let onError: ((error: SluiceError) => void) | undefined
  const consume: typeof log.consume = async (options) => {
    onError = options.onError
    return log.consume(options)
  }
  const stop = (): void => onError?.(new SluiceError('log_unavailable', 'no fetch'))
  return { log: withMethods(log, { consume }), stop }
}

it('a consumer that stops by itself is replaced, and goes on at what is committed', async () => {
  const world = new World()
  const { log, stop } = stoppable(world)
  await world.publish([...readings, '{not JSON'])
  const worker = await world.work({ log }, { INGEST_CHECKPOINT_MS: '5000' })
  await vi.waitFor(() => expect(world.deadLetters()).toHaveLength(1), PATIENCE)
  stop()
  await vi.waitFor(() => expect(world.points.written).toHaveLength(200), PATIENCE)
  await worker.close()
  expect(world.log.committed).toEqual([51])
  expect(world.points.visible.size).toBe(100)
  // Read again without a restart: neither written nor counted again.
  expect(world.deadLetters()).toHaveLength(1)
  expect(await counter(worker.options, 'faults_total')).toBe(1)
  expect(await counter(worker.options, 'dead_letters_total')).toBe(1)
})

it('a log that does not let the worker in at once is waited for, and is shown', async () => {
  const world = new World()
  await world.publish(readings)
  const consume = failing(2, 'log_unavailable', world.log.consume.bind(world.log))
  const worker = await world.work({ log: withMethods(world.log, { consume }) })
  expect(worker.status()).toMatchObject({
    ok: false,
    detail: expect.stringContaining('log: log_unavailable') as string,
  })
  await world.settled()
  expect(worker.status().ok).toBe(true)
  const refused = failing(1, 'setting_invalid', world.log.consume.bind(world.log))
  await expect(world.work({ log: withMethods(world.log, { consume: refused }) })).rejects.toThrow('out of order')
})

it('a worker that waits to be let in can be closed', async () => {
  const world = new World()
  const consume = failing(Infinity, 'log_unavailable', world.log.consume.bind(world.log))
  const worker = await world.work({ log: withMethods(world.log, { consume }) })
  await worker.close()
  const attempts = consume.mock.calls.length
  await world.publish(readings)
  expect([consume.mock.calls.length, world.points.written.length]).toEqual([attempts, 0])
})

it('what waits is bounded while the store does not answer', async () => {
  const world = new World()
  await world.publish(Array.from({ length: 500 }, (_, n) => ({ ts: T + n, n })))
  const answer = Promise.withResolvers<void>()
  const write: typeof world.points.write = async (batch) => {
    await answer.promise
    return world.points.write(batch)
  }
  const settings = { INGEST_BATCH_RECORDS: '5', INGEST_WRITE_POINTS: '10' }
  const worker = await world.work({ points: withMethods(world.points, { write }) }, settings)
  // In the write 10 or fewer, waiting 40 and the slice that went over it.
  await vi.waitFor(async () => expect(await counter(worker.options, 'queued_points')).toBeGreaterThan(40), PATIENCE)
  expect(await counter(worker.options, 'queued_points')).toBeLessThanOrEqual(45)
  expect(await counter(worker.options, 'readings_total')).toBeLessThanOrEqual(55)
  answer.resolve()
  await world.settled()
  expect(world.points.visible.size).toBe(500)
})

it('what was decoded and lost its partition before it was written is counted', async () => {
  const world = new World()
  const { log, stop } = stoppable(world)
  const answer = Promise.withResolvers<void>()
  const write: typeof world.points.write = async (batch) => {
    await answer.promise
    return world.points.write(batch)
  }
  await world.publish(readings)
  const settings = { INGEST_BATCH_RECORDS: '5', INGEST_WRITE_POINTS: '10' }
  const ports = { log, points: withMethods(world.points, { write }) }
  const worker = await world.work(ports, settings)
  await vi.waitFor(async () => expect(await counter(worker.options, 'queued_points')).toBeGreaterThan(10), PATIENCE)
  const waiting = await counter(worker.options, 'queued_points')
  stop()
  expect(await counter(worker.options, 'revoked_points_total')).toBe(waiting)
  answer.resolve()
  await world.settled()
  const [decoded, written] = [await counter(worker.options, 'readings_total'), world.points.written.length]
  expect(written + waiting).toBe(decoded * 2)
  expect(await counter(worker.options, 'points_total')).toBe(written)
})
