import { describe, expect, it, vi } from 'vitest'
import { overriding } from '../../../load-tests/reference/overriding.ts'
import { headersOf } from '../../../shared/record.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { TombstoneView } from '../../../shared/registry/tombstones-port.ts'
import { PATIENCE } from '../../patience.ts'
import { openReal } from './real-api.ts'

type Real = Awaited<ReturnType<typeof openReal>>

// Of the past, so that a span without an end has them all.
const T = Date.now() - 3_600_000
const iso = (ms: number) => new Date(ms).toISOString()

async function make(real: Real, ...devices: string[]): Promise<void> {
  for (const device of devices) await real.call('POST', '/v1/devices', { payload: { tenant: 'demo', device } })
}

/** Until the job is done. */
async function remove(real: Real, device: string, payload: object): Promise<void> {
  const { body } = await real.call('POST', `/v1/devices/demo/${device}/readings/delete`, { payload })
  const { id } = body['job'] as { id: number }
  await vi.waitFor(async () => {
    expect((await real.call('GET', `/v1/jobs/${id}`)).body['state']).toBe('done')
  }, PATIENCE)
}

const deaf = (registry: Registry): Registry => {
  const tombstones = overriding(registry.tombstones, { current: async () => new TombstoneView() })
  return overriding(registry, { tombstones })
}

describe('letters of readings that are deleted', () => {
  /** As the broker does: a POST refuses what would be no more than a letter. */
  async function publish(
    { log, registry }: Real,
    device: string,
    payload: string,
    stream = 'telemetry',
  ): Promise<void> {
    const topic = `t/demo/${device}/telemetry/${stream}`
    const headers = headersOf({ tenant: 'demo', device, stream }, device, topic, registry.policies)
    const value = Buffer.from(payload)
    await log.append('telemetry.raw', [{ key: `demo/${device}`, value, ms: Date.now(), ns: 0, scheme: 1, headers }])
  }
  const faulty = (second: number): string => `{"ts":${T + second * 1000},"v":1e999}`
  const listed = async (real: Real): Promise<string[]> => {
    const { body } = await real.call('GET', '/v1/dead-letters')
    const letters = body['deadLetters'] as { who: string; payload: string }[]
    return letters.map(({ who, payload }) => `${who} ${(Number(/\d+/.exec(payload)?.[0]) - T) / 1000}`).sort()
  }
  const counts = async (real: Real): Promise<unknown> => {
    const stats = (await real.call('GET', '/v1/dead-letters/stats')).body['letters']
    const replay = await real.call('POST', '/v1/dead-letters/replay', { payload: { tenant: 'demo', dryRun: true } })
    return [stats, (replay.body['counts'] as { letters: number }).letters]
  }

  async function check(through?: (registry: Registry) => Registry): Promise<void> {
    const real = await openReal(through)
    await make(real, 'a', 'b')
    for (const second of [1, 5, 9]) await publish(real, 'a', faulty(second))
    await publish(real, 'b', faulty(5))
    await publish(real, 'a', faulty(5), 'power')
    const others = ['demo/a 1', 'demo/a 9', 'demo/b 5']
    await vi.waitFor(async () => expect(await counts(real)).toEqual([5, 5]), PATIENCE)
    const span = { stream: 'telemetry', from: iso(T + 4000), to: iso(T + 6000) }
    const told = await real.call('POST', '/v1/devices/demo/a/readings/delete', { payload: { ...span, dryRun: true } })
    expect(told.body).toMatchObject({ letters: 1, lettersComplete: true })
    await remove(real, 'a', span)
    expect(await counts(real)).toEqual([4, 4])
    // The one that is left of second 5 is of the other stream.
    expect(await listed(real)).toEqual([...others, 'demo/a 5'].sort())
    const again = { from: iso(T + 4000), to: iso(T + 6000), dryRun: true }
    const left = await real.call('POST', '/v1/devices/demo/a/readings/delete', { payload: again })
    // The other one is gone already.
    expect(left.body['letters']).toBe(1)
    await remove(real, 'a', { from: iso(T + 4000), to: iso(T + 6000) })
    expect(await listed(real)).toEqual(others)
    // What is received later is of somebody who sends it again.
    await publish(real, 'a', faulty(5))
    await vi.waitFor(async () => expect(await listed(real)).toEqual([...others, 'demo/a 5'].sort()), PATIENCE)
  }

  it('are neither listed, counted nor replayed, and those of other times, devices and streams are', () => check())

  it('are found where nobody asks what was deleted', async () => {
    await expect(check(deaf)).rejects.toThrow('to deeply equal')
  })

  it('go as a whole where one of several readings was deleted, and by their receive time where they have none', async () => {
    const real = await openReal()
    await make(real, 'a')
    await publish(real, 'a', `[{"ts":${T},"v":1},{"ts":${T + 5000},"v":1e999}]`)
    await publish(real, 'a', '{"v":')
    await vi.waitFor(async () => expect(await counts(real)).toEqual([2, 2]), PATIENCE)
    await remove(real, 'a', { to: iso(T + 1000) })
    expect(await counts(real)).toEqual([1, 1])
    await remove(real, 'a', {})
    expect(await counts(real)).toEqual([0, 0])
  })
})
